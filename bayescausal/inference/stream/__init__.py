"""Rows that stay where they are: fitted, and asked about, in passes over their source."""
