"""What stands in a report, section by section."""
