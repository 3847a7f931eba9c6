"""The page of a report: its blocks, its pictures, and how they are written."""
