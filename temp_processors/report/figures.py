"""What all pictures share: size, type, colours that colour-blind readers can tell apart, and how they are saved.

matplotlib is imported when a picture is made, never by importing the package, and without pyplot: no window and no
figure that outlives its use.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from temp_processors.report.names import apart, families, longest_line, say_missing, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "svg.fonttype": "path",
    "pdf.fonttype": 42,  # journals refuse Type 3
    "svg.hashsalt": "temp_processors",
    "text.parse_math": True,
}
LEGEND_WIDTH = 56
"""Columns of text that the legend of a figure of 3.4 inches holds."""
HANDLE = 6
"""Of these, what the sign before a name takes."""
LINE = 0.16
"""Height of a line of a legend, in inches."""
NAME_LINES = 3
MISSING = re.compile(r"Glyph (\d+) .*missing from font")
# Metadata that keeps the date out of the file, so that the same figure gives the same bytes.
UNDATED: dict[str, dict[str, Any]] = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}


def blank_figure(*, width: float = 3.4, height: float = 2.6, rows: int = 1) -> tuple[Figure, Any]:
    """A figure with its axes, sizes in inches; 3.4 is one column of a two-column paper.

    Returns the axes themselves for one row, an array of axes that share x for several.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, 1, sharex=True)


@contextmanager
def styled() -> Iterator[None]:
    """The settings of every picture, for the time of a `with` block or, as `@styled()`, of a function."""
    import matplotlib

    with matplotlib.rc_context({**STYLE, "font.family": families()}):
        yield


def colours(count: int) -> list[tuple[float, float, float, float]]:
    """`count` colours from viridis, dark to light; its palest end, unreadable on white, is left out."""
    from matplotlib import colormaps

    viridis = colormaps["viridis"]
    return [viridis(0.05 + 0.8 * i / max(count - 1, 1)) for i in range(count)]


def legend_below(figure: Figure, handles: Mapping[str, Any], columns: int) -> None:
    """The legend under the figure, where it covers no data: one entry a name, whatever the name, in fewer columns if names are long.

    Long names are wrapped, and the figure grows by what the legend takes beyond two lines.
    """
    names = apart([wrapped(name, LEGEND_WIDTH - HANDLE, NAME_LINES) for name in handles])
    fitting = max(1, min(columns, int(LEGEND_WIDTH * figure.get_figwidth() / 3.4) // (longest_line(names) + HANDLE)))
    rows = -(-len(names) // fitting)
    further = sum(name.count("\n") for name in names)
    figure.set_figheight(figure.get_figheight() + LINE * max(0, rows + further - 2))
    legend = figure.legend(
        list(handles.values()),
        [str(i) for i in range(len(handles))],
        loc="outside lower center",
        ncols=fitting,
        frameon=False,
    )
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(name)  # as a label, a name that begins with `_` would be left out


def titled(figure: Figure, title: str, *notes: str) -> None:
    """A title above everything, and below it in small letters what the picture is of; the figure grows by their lines.

    Comes last: the height that the figure has then is kept for what is drawn.
    """
    wide = figure.get_figwidth()
    heads = wrapped(title, int(wide * 11.5), 2)
    small = "\n".join(wrapped(note, int(wide * 17), 3) for note in notes if note)
    top = 0.17 * (heads.count("\n") + 1) + 0.05
    taken = top + 0.13 * (small.count("\n") + 1 if small else 0) + 0.08
    height = figure.get_figheight() + taken
    figure.set_figheight(height)
    figure.set_layout_engine("constrained", rect=(0, 0, 1, 1 - taken / height))
    figure.text(0.08 / wide, 1 - 0.05 / height, heads, va="top", fontsize=9, fontweight="bold")
    figure.text(0.08 / wide, 1 - (top + 0.03) / height, small, va="top", fontsize=7, color="0.3")


def save(figure: Figure, path: Path) -> Path:
    """Write a figure; the ending says the format. The same figure gives the same bytes.

    Raises:
        ValueError: The ending is not .png, .svg or .pdf, or the folder does not exist.
    """
    if path.suffix.lower() not in UNDATED:
        raise ValueError(f"a picture ends in {', '.join(UNDATED)}, but this is {str(path)!r}")
    if not path.parent.is_dir():
        raise ValueError(f"{path.parent}: no such folder")
    with styled(), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        figure.savefig(path, dpi=200, metadata=UNDATED[path.suffix.lower()])
    missing = {str(warning.message): warning for warning in said if MISSING.match(str(warning.message))}
    if missing:
        codes = sorted(int(MISSING.match(message)[1]) for message in missing)  # type: ignore[index]
        say_missing("".join(map(chr, codes[:20])))
    for warning in said:
        if str(warning.message) not in missing:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return path
