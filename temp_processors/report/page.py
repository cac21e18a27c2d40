"""The report page: one HTML file that opens from disk, with the runs inside it and no request to anywhere.

Texts that a model wrote are untrusted. They travel in a JSON block in which `<` is escaped, the page's script puts them
into the document only as text, and a content security policy lets nothing run but that one script.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from temp_processors.datafiles import expanded_path
from temp_processors.report.names import apart
from temp_processors.report.page_data import page_data
from temp_processors.report.pairs import runs_compared
from temp_processors.runs.lenient import LoadedRun, load_run, own_file

# In this order, in one function: constants before what uses them while it starts.
SCRIPTS = (
    *("numbers", "colours", "state", "elements", "export", "chart", "labels", "scores", "pairs", "answer", "task"),
    *("search", "wall", "strip", "whatif", "setup", "main"),
)
STYLES = ("colours.css", "page.css", "panes.css")
LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def write_page(run_folders: Sequence[Path | LoadedRun], out: Path) -> Path:
    """Write the page for one run, or for several side by side.

    Args:
        run_folders: Folders that runs wrote, or runs read from them; half done, old or damaged ones are shown as far as they go.
        out: The file to write.

    Raises:
        FileNotFoundError: A run folder does not exist.
        ValueError: No run folder was given.
    """
    if not run_folders:
        raise ValueError("a report needs at least one run folder")
    out, share = expanded_path(out), 1 / len(run_folders)
    runs = named_apart([run if isinstance(run, LoadedRun) else load_run(run) for run in run_folders])
    data = {"runs": [page_data(run, share) for run in runs], "comparison": runs_compared(runs)}
    out.write_text(page_html(data), encoding="utf-8")
    return out


def named_apart(runs: Sequence[LoadedRun]) -> list[LoadedRun]:
    """The runs, those of one name with as much of the end of their paths behind it as tells them apart."""
    paths: dict[str, list[Path]] = {}
    for run in runs:
        paths.setdefault(run.name, []).append(run.path.resolve())
    names = [
        f"{run.name} ({_end(run.path.resolve(), alike)})" if len(alike := paths[run.name]) > 1 else run.name
        for run in runs
    ]
    return [replace(run, name=name) for run, name in zip(runs, apart(names), strict=True)]


def _end(path: Path, paths: Sequence[Path]) -> str:
    """The shortest end of a path that no other path has; all of it where a path is named twice."""
    for length in range(1, len(path.parts)):
        end = path.parts[-length:]
        if sum(other.parts[-length:] == end for other in paths) == 1:
            return "/".join(end)
    return str(path)


def page_html(data: dict[str, Any]) -> str:
    """The page around `data`, whatever texts are in it."""
    style, script = (
        _joined(STYLES),
        f'(() => {{\n"use strict";\n{_joined([f"{name}.js" for name in SCRIPTS])}\n}})();\n',
    )
    policy = (
        f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; img-src data:; base-uri 'none'"
    )
    page = _template("page.html")
    for mark, content in (("{{policy}}", policy), ("{{style}}", style), ("{{script}}", script)):
        page = page.replace(mark, content)
    # last, so that nothing in the data can be taken for a mark
    return page.replace("{{data}}", safe_json(data))


def safe_json(data: Any) -> str:
    """JSON that can stand inside a script element: no `<`, no NaN (it becomes null), no half of a surrogate pair.

    Example:
        >>> safe_json(["</script>", float("nan")])
        '["\\\\u003c/script>",null]'
    """
    text = json.dumps(_finite(data), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return LONE_SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", text.replace("<", "\\u003c"))


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {str(key): _finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def _joined(names: Sequence[str]) -> str:
    return "\n".join(_template(name) for name in names)


def _template(name: str) -> str:
    return (files("temp_processors.report") / "template" / name).read_text(encoding="utf-8")


def _digest(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def write_report(run_folder: Path, *, plots: bool = False) -> Path:
    """The report of a run: `comparison.md` and `.tex`, and `report.html`; the folder is read once.

    Args:
        run_folder: The run.
        plots: Write its pictures, `plots/`, behind the page. They take longer than everything else.

    Returns:
        The path of the page.

    Raises:
        OSError: The folder does not exist, or a file cannot be written.
    """
    from temp_processors.report.documents import write_tables

    for name in ("comparison.md", "comparison.tex"):
        own_file(run_folder / name)
    write_tables(run_folder)
    run = load_run(run_folder)
    page = write_page([run], own_file(run_folder / "report.html"))
    if plots:
        from temp_processors.report.plots import write_plots

        write_plots(run)
    return page
