"""A function of the user's own: `module:function`, from a file beside the configuration or an installed package.

    def my_score(answer: str, row: dict) -> float: ...      # in my_scores.py; in YAML `score: my_scores:my_score`

It returns a number in [0, 1] (True and False are 1 and 0), or a text: the reason why there is no score. Nothing else is searched, so that
no file of the working folder is run by accident, and nothing is run before the dry run has said from where.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from functools import cached_property
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, model_validator

from temp_processors.tasks.scorers.base import Item, Mark, Scorer, ScorerError, Tools

OURS = "temp_processors"


class Function(Scorer):
    """What a function says of an answer and its row.

    Args:
        function: `module:function`; a module in a folder is `folder.module`.
        folder: Where the module's file was found; filled in where a configuration is read.

    Example:
        >>> _ = (tmp_path / "mine.py").write_text("def short(answer, row):\\n    return len(answer) < row['most']\\n")
        >>> Function(function="mine:short", folder=str(tmp_path)).score(Item("fox", (), {"most": 5}, ""))
        Mark(value=1.0, reason=None)
    """

    needs_reference: ClassVar[bool] = False
    kind: Literal["function"] = "function"
    function: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
    folder: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _beside_the_configuration(cls, data: Any, info: ValidationInfo) -> Any:
        """Note the folder of the configuration where the module's file is in it."""
        folder = (info.context or {}).get("folder")
        if not isinstance(data, dict) or data.get("folder") is not None or folder is None:
            return data
        module = str(data.get("function", "")).partition(":")[0]
        found = module and _file(Path(folder), module).is_file()
        return {**data, "folder": str(Path(folder).resolve())} if found else data

    @property
    def heading(self) -> str:
        """The name, or that of the function."""
        return self.name or self.function.rpartition(":")[2]

    def prepare(self, tools: Tools) -> None:
        """Import the module, to see that the function is there."""
        _ = self._callable

    def notes(self) -> list[str]:
        """From where it is loaded."""
        module = self.function.partition(":")[0]
        where = (
            f"the installed package {module.partition('.')[0]}"
            if self.folder is None
            else str(_file(Path(self.folder), module))
        )
        return [f"{self.heading}: runs {self.function} from {where}"]

    @cached_property
    def _callable(self) -> Callable[[str, dict[str, Any]], Any]:
        module_name, _, name = self.function.partition(":")
        module = _installed(module_name) if self.folder is None else _from_file(_file(Path(self.folder), module_name))
        function = getattr(module, name, None)
        if not callable(function):
            raise ScorerError(f"{self.function}: {module.__file__} has no function {name!r}")
        return function  # type: ignore[no-any-return]

    def score(self, item: Item) -> Mark:
        """The mark that the function gives; an error of it is a reason, and costs this sample only."""
        function = self._callable
        try:
            value = function(item.answer, dict(item.row))
        except Exception as error:  # noqa: BLE001  whatever a user's function raises, the other samples are scored
            return Mark(None, f"{self.function} raised {type(error).__name__}: {error}")
        if isinstance(value, str):
            return Mark(None, value or f"{self.function} gave no reason")
        if isinstance(value, (bool, int, float)) and 0 <= value <= 1:
            return Mark(float(value))
        return Mark(None, f"{self.function} returned {value!r}, which is no number in [0, 1]")


def _file(folder: Path, module: str) -> Path:
    return folder.joinpath(*module.split(".")).with_suffix(".py")


def _from_file(path: Path) -> ModuleType:
    name = f"_scorer_{path.stem}_{abs(hash(str(path)))}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ScorerError(f"{path}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise ScorerError(f"{path}: cannot be imported: {type(error).__name__}: {error}") from error
    return module


def _installed(module: str) -> ModuleType:
    top = module.partition(".")[0]
    here = Path.cwd().resolve()
    elsewhere = [entry for entry in sys.path if entry and Path(entry).resolve() != here]
    if top != OURS and PathFinder.find_spec(top, elsewhere) is None:
        raise ScorerError(
            f"{module}: is neither a file beside the configuration nor an installed package; put {top}.py beside the configuration"
        )
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ScorerError(f"{module}: cannot be imported: {error}") from error
