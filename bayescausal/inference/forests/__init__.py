"""Drawing forests, and keeping each with the draw that it belongs to."""
