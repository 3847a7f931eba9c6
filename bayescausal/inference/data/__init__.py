"""Data in: one table, whatever the data came in, and columns that fit their variables."""
