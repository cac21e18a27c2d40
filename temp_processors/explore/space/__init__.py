"""The explorer as a Hugging Face Space: a folder that holds all it needs, this package included."""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from pathlib import Path

FILES = ("app.py", "requirements.txt", "README.md")


def write_space(folder: Path, model: str = "fox") -> Path:
    """Write `folder`: app.py, requirements.txt, the card, and the package that app.py imports.

    Args:
        folder: A new or empty folder. Push it with `hf upload USER/NAME FOLDER --repo-type space`.
        model: What the Space serves: `fox`, or a Hub id. A folder of this machine is not there on the Hub.

    Raises:
        ValueError: The folder holds something, or the model is a folder of this machine.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder}: holds something already; a Space is written into a new folder")
    if Path(model).is_dir():
        raise ValueError(f"model: {model!r} is a folder of this machine, which a Space does not have: name a Hub id")
    with as_file(files("temp_processors")) as package:
        shutil.copytree(package, folder / "temp_processors", ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        text = (files("temp_processors.explore.space") / name).read_text(encoding="utf-8")
        (folder / name).write_text(text.replace('MODEL = "fox"', f"MODEL = {model!r}"), encoding="utf-8")
    return folder
