"""What is asked: a study file, its keys, its conditions and the studies that ship."""
