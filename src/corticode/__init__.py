"""Decode behaviour from cortex-wide calcium imaging."""

__version__ = "0.1.0"
