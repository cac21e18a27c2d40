"""`fox`: the small language model of animal tales that ships with the package, and the grammar that it was trained on.

`FOX_PATH` is an ordinary model folder:

    >>> from transformers import AutoModelForCausalLM, AutoTokenizer
    >>> from temp_processors.fox import FOX_PATH
    >>> tokenizer = AutoTokenizer.from_pretrained(FOX_PATH)
    >>> model = AutoModelForCausalLM.from_pretrained(FOX_PATH)
"""

from pathlib import Path

FOX_PATH = Path(__file__).parent
"""Folder with the weights, the tokenizer and the card of the shipped model."""
