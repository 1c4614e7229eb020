"""Values to figures, one page and a methods text; knows nothing of run folders."""
