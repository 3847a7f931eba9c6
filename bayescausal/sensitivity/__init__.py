"""Sensitivity analysis: hidden confounding, the prior, the tipping point."""
