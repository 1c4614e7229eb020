"""Simulated cohorts with a planted, known truth, in the real file formats."""
