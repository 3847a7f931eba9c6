"""What a study design assumes, read off a model and its columns."""
