"""Tables of the published study, as package data; their source is in NOTICE.md."""
