"""Simulated animals with a planted truth, as files and in memory."""
