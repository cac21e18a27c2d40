"""What all pictures share: size, type, colours that colour-blind readers can tell apart, and how they are saved.

matplotlib is imported when a picture is made, never by importing the package, and without pyplot: no window and no
figure that outlives its use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from temp_processors.inert import figure_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "svg.fonttype": "path",
    "svg.hashsalt": "temp_processors",
    "text.parse_math": True,
}
LEGEND_WIDTH = 56
"""Characters of a legend that a figure of one column holds."""
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

    with matplotlib.rc_context(STYLE):
        yield


def colours(count: int) -> list[tuple[float, float, float, float]]:
    """`count` colours from viridis, dark to light; its palest end, unreadable on white, is left out."""
    from matplotlib import colormaps

    viridis = colormaps["viridis"]
    return [viridis(0.05 + 0.8 * i / max(count - 1, 1)) for i in range(count)]


def legend_below(figure: Figure, handles: Mapping[str, Any], columns: int) -> None:
    """The legend under the figure, where it covers no data: one entry a name, whatever the name, in fewer columns if names are long."""
    longest = max(map(len, handles), default=0)
    fitting = max(1, min(columns, LEGEND_WIDTH // (longest + 6)))
    legend = figure.legend(
        list(handles.values()),
        [str(i) for i in range(len(handles))],
        loc="outside lower center",
        ncols=fitting,
        frameon=False,
    )
    for text, name in zip(legend.get_texts(), handles, strict=True):
        text.set_text(figure_text(name))  # as a label, a name that begins with `_` would be left out


def save(figure: Figure, path: Path) -> Path:
    """Write a figure; the ending says the format. The same figure gives the same bytes.

    Raises:
        ValueError: The ending is not .png, .svg or .pdf, or the folder does not exist.
    """
    if path.suffix.lower() not in UNDATED:
        raise ValueError(f"a picture ends in {', '.join(UNDATED)}, but this is {str(path)!r}")
    if not path.parent.is_dir():
        raise ValueError(f"{path.parent}: no such folder")
    with styled():
        figure.savefig(path, dpi=200, metadata=UNDATED[path.suffix.lower()])
    return path
