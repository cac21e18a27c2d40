"""Temperature for Hugging Face generation: policies for `generate()`, experiments and diversity scores."""

__version__ = "0.1.0"
