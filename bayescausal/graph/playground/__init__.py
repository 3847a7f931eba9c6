"""A graph that is drawn by hand, and everything that can be said of it at once."""
