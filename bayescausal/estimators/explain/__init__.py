"""Tables, words and pictures of several estimators."""
