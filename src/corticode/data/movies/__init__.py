"""Movies: one pass over frames, what is found in it, and frames as decoders see them."""
