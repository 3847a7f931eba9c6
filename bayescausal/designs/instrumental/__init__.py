"""Instruments: linear with a common cause, and principal strata."""
