"""One question put to data: what every estimator is given."""
