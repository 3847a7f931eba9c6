"""Empty cells as unknowns beside the parameters, both drawn from their conditionals in turn."""
