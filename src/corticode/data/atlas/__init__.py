"""A map of the dorsal cortex laid on an image by landmarks: which region each pixel shows."""
