"""A model as code, and a model from a file."""
