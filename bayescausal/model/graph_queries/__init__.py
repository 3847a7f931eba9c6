"""Questions about the graph of a model, a fit, or a graph by itself."""
