"""Figures: matplotlib axes in, axes out; nothing shown or saved unasked."""
