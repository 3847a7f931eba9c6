"""Models of the outcome and of the treatment that estimators use on the way."""
