"""Files to sessions to windows to folds."""
