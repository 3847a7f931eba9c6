"""And if an assumption fails: hidden confounding, the prior, the tipping point."""
