"""Structure read off a model, and questions about its graph."""
