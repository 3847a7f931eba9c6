"""Effects that differ between units: how much, with what, and whom to treat."""
