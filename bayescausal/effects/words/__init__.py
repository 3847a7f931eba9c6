"""An effect in numbers, sentences and tables."""
