"""Tables of the published study, and a map of the dorsal cortex; their sources are in NOTICE.md."""
