"""What is taken out of a text as its answer: one kind a file, by name in `kinds.py`."""
