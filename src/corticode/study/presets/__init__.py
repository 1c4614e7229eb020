"""Study files that ship: defaults a study starts from, and the demonstration."""
