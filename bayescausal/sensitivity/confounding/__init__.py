"""What a hidden common cause would do to an answer."""
