"""Doing a study, and keeping what came of it: the run folder, its tasks and its tables."""
