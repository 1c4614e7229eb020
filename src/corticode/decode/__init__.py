"""Windows to decoders to predictions."""
