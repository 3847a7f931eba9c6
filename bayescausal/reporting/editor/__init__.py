"""An editor of graphs for pages and notebooks."""
