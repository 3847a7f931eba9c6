"""Latent variables and empty cells integrated or summed out exactly, and drawn back."""
