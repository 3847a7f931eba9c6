"""What in a report moves: numbers that are computed beforehand, for a reader to choose from."""
