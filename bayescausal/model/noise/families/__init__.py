"""Univariate families: both tails, quantiles, and the table of what is known of each."""
