"""The run folder: what is on disk, how it is written, read again and resumed."""
