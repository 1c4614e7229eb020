"""Predictions to scores, comparisons and nulls."""
