"""What an answer is worth: one scorer a file, by name in `kinds.py`; the contract is in `base.py`."""
