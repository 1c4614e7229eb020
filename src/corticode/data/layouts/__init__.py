"""Folders as others lay them out, each made into a catalogue: one module a layout."""
