"""The pictures: what they draw is what the numbers say, and every file is a picture."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from temp_processors.report.figures import colours, save
from temp_processors.report.marks import marks_of
from temp_processors.report.names import families, say_missing
from temp_processors.report.plots import frontier_figure, metric_figure, run_figures, source_line, write_plots
from temp_processors.report.step_plots import distribution_figure, steps_figure
from temp_processors.runs.lenient import Trace, load_run
from tests.report.report_run import make_run
from tests.report.test_colours import SHEET

STARTS = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
SCORES = {
    "a$b": {"distinct_2": {"value": 0.2, "interval": [0.1, 0.3]}, "perplexity": {"value": 2.0}},
    "T=1.0": {"distinct_2": {"value": 0.7, "interval": None}, "perplexity": {"value": 20.0, "interval": [10.0, 40.0]}},
    "broken": {"distinct_2": {"value": None, "reason": "no text has two words"}},
}


def test_metric_against_temperature_draws_value_interval_and_place() -> None:
    axes = metric_figure(SCORES, "distinct_2", {"a$b": 0.5, "T=1.0": 1.0}).axes[0]
    assert axes.lines[0].get_xydata().tolist() == [[0.5, 0.2], [1.0, 0.7]]
    assert [held[0].get_xydata().tolist() for held in axes.containers[:2]] == [[[0.5, 0.2]], [[1.0, 0.7]]]
    assert axes.containers[0][2][0].get_segments()[0].tolist() == [[0.5, 0.1], [0.5, pytest.approx(0.3)]]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.5", "1", "broken"]
    assert axes.get_ylabel() == "distinct-2"


def drawn_arms(figure: Any) -> list[float]:
    """Lengths of all arms of error bars that are drawn, in data units."""
    segments = [s for held in figure.axes[0].containers for bars in held[2] for s in bars.get_segments()]
    lengths = [math.hypot(*(segment[1] - segment[0])) for segment in segments if len(segment)]
    return [length for length in lengths if not math.isnan(length)]


def test_an_unknown_interval_is_no_interval_of_length_zero() -> None:
    unknown = {
        "p": {"distinct_2": {"value": 0.4, "interval": None}, "perplexity": {"value": 3.0, "interval": [3.0, 3.0]}}
    }
    for figure in (metric_figure(unknown, "distinct_2"), frontier_figure(unknown)):
        assert drawn_arms(figure) == []
        assert [line.get_markerfacecolor() for line in figure.axes[0].lines].count("white") >= 1
    assert drawn_arms(metric_figure(SCORES, "distinct_2")) == [pytest.approx(0.2)]
    assert min(drawn_arms(frontier_figure(SCORES))) > 0


def test_perplexity_has_arms_of_unlike_length() -> None:
    (low, _), (high, _) = frontier_figure(SCORES).axes[0].containers[1][2][0].get_segments()[0]
    assert (low, high) == (pytest.approx(10.0), pytest.approx(40.0))


def test_every_policy_is_in_the_legend_whatever_its_name() -> None:
    names = ["_baseline", "a$b", "policy of some length x" * 2]
    figure = frontier_figure(dict.fromkeys(names, SCORES["a$b"]))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["_baseline", r"a\$b", names[2]]
    together = steps_figure({name: [step_trace(1.0, 2.0)] for name in names})
    assert [text.get_text() for text in together.legends[0].get_texts()] == ["_baseline", r"a\$b", names[2]]


@pytest.mark.parametrize(("tokenizer", "unit"), [("whitespace", "words"), ("fox", "tokens")])
def test_lengths_have_a_unit(tokenizer: str, unit: str) -> None:
    score = {"value": 9.0, "signature": f"mean_length|tok:{tokenizer}|len:full"}
    assert metric_figure({"p": {"mean_length": score}}, "mean_length").axes[0].get_ylabel() == f"mean length ({unit})"


def test_frontier_has_one_point_for_each_policy() -> None:
    axes = frontier_figure(SCORES).axes[0]
    points = [container[0].get_xydata().tolist() for container in axes.containers]
    assert points[:2] == [[[2.0, 0.2]], [[20.0, 0.7]]]
    assert all(map(math.isnan, points[2][0]))
    assert axes.get_xscale() == "log"


def step_trace(*entropy: float, temperature: float | None = None) -> Trace:
    steps = len(entropy)
    filled = [0] * steps, list(entropy), [temperature] * steps, [0.0] * steps
    return Trace(*filled, [[0]] * steps, [[0.0]] * steps, [None])


def test_steps_draw_the_median_and_leave_out_what_has_no_temperature() -> None:
    top, bottom = steps_figure({"p": [step_trace(1.0, 5.0), step_trace(2.0), step_trace(9.0)]}).axes
    assert top.lines[0].get_xydata().tolist() == [[0.0, 2.0], [1.0, 5.0]]
    assert bottom.lines[0].get_xydata().tolist() == []


def test_more_than_four_policies_get_a_row_each_on_one_scale() -> None:
    groups = {f"p{i}$": [step_trace(1.0 + i, 2.0, temperature=0.5 * i if i else None)] for i in range(5)}
    figure = steps_figure(groups)
    rows = list(zip(figure.axes[::2], figure.axes[1::2], strict=True))
    assert [left.lines[0].get_ydata()[0] for left, _ in rows] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert [left.get_title("left") for left, _ in rows] == [rf"p{i}\$" for i in range(5)]
    assert len({left.get_ylim() for left, _ in rows}) == len({right.get_ylim() for _, right in rows}) == 1
    assert [[text.get_text() for text in right.texts if "no" in text.get_text()] for _, right in rows] == [
        ["no single temperature"], [], [], [], [],
    ]  # fmt: skip


def test_distribution_is_the_softmax_of_the_logits() -> None:
    axes = distribution_figure(["a", "$"], [math.log(3), 0.0], [1.0, 0.5]).axes[0]
    assert axes.lines[0].get_xdata().tolist() == pytest.approx([0.75, 0.25])
    assert axes.lines[1].get_xdata().tolist() == pytest.approx([0.9, 0.1])


def test_a_run_gives_a_picture_of_every_kind_in_three_formats(tmp_path: Path) -> None:
    files = write_plots(make_run(tmp_path / "run", samples=2, steps=4))
    names = {"distinct_2", "self_bleu_4", "perplexity", "frontier_distinct_2", "frontier_self_bleu_4", "steps"}
    assert {f.name for f in files} == {f"{n}{end}" for n in (*names, "distribution") for end in STARTS}
    assert all(f.read_bytes().startswith(STARTS[f.suffix]) for f in files)


def test_every_picture_of_a_run_says_what_it_is_and_draws_a_policy_alike(tmp_path: Path) -> None:
    run = load_run(make_run(tmp_path / "run", samples=2, steps=4))
    marks = marks_of(run.policies, run.temperatures)
    for name, figure in run_figures(run).items():
        title, notes = (text.get_text() for text in figure.texts if text.get_text())
        assert title
        notes = " ".join(notes.split())
        assert source_line(run) in notes
        assert any(word in notes for word in ("bars: 95 % intervals", "band: 10 to 90 %", "one step"))
        drawn = [held[0] for held in figure.axes[0].containers]
        if name != "distribution":
            drawn = drawn or [line for axes in figure.axes for line in axes.lines]
            assert {(line.get_color(), line.get_marker()) for line in drawn} <= {
                (m.colour, m.marker) for m in marks.values()
            }


def test_marks_are_the_colours_of_the_page_from_cold_to_hot() -> None:
    marks = marks_of(["b", "free", "a", "mid"], {"a": 0.1, "b": 2.0, "mid": 1.0})
    shown = {name: "#" + "".join(f"{round(255 * c):02x}" for c in mark.colour) for name, mark in marks.items()}
    light = SHEET.partition("@media")[0]
    assert all(
        f"--{stop}: {shown[name]}" in light
        for name, stop in (("a", "t0"), ("mid", "t2"), ("b", "t4"), ("free", "plain"))
    )
    many = marks_of([f"p{i}" for i in range(36)])
    assert len(set(many.values())) == 36


def test_thirty_policies_fit(tmp_path: Path) -> None:
    scores = {f"policy {i}, of some length": SCORES["T=1.0"] for i in range(30)}
    known = {name: 0.1 * (i + 1) for i, name in enumerate(scores) if i < 16}
    for figure in (metric_figure(scores, "distinct_2", known), frontier_figure(scores, temperatures=known)):
        assert figure.get_figwidth() <= 7.2
        assert figure.get_figheight() <= 7.2
    ticks = metric_figure(scores, "distinct_2", known)
    at = boxes(ticks, lambda f: f.axes[0].get_xticklabels())
    assert len(at) >= 14 + 4
    places = [ticks.axes[0].transData.transform((x, 0))[0] / ticks.dpi for x in ticks.axes[0].get_xticks()]
    assert min(b - a for a, b in itertools.pairwise(places)) * math.sin(math.radians(40)) > 8 / 72


def test_a_pdf_embeds_type_42_fonts_and_draws_chinese(tmp_path: Path) -> None:
    held = save(frontier_figure({"冷 狐狸": SCORES["T=1.0"]}), tmp_path / "x.pdf").read_bytes()
    assert b"/FontFile2" in held


def test_the_same_figure_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (save(metric_figure(SCORES, "distinct_2"), tmp_path / name) for name in ("a.svg", "b.svg"))
    assert first.read_bytes() == second.read_bytes()


def test_colours_are_told_apart_by_lightness_alone() -> None:
    lightness = [0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b, _ in colours(6)]
    assert all(later - earlier > 0.05 for earlier, later in itertools.pairwise(lightness))


def test_importing_the_report_does_not_import_matplotlib() -> None:
    code = "import sys, temp_processors.report.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


LONG = "cooling from one point five to zero point three over twenty-four steps, then held, and a little more"
AWKWARD = [
    "_baseline",
    "冷的温度策略，一个很长很长的名字，还要更长一些才行",
    LONG,
    "no_space_in_it" * 9,
    LONG[:-4] + "less",
    "[red]$x^2$",
]


def boxes(figure: Any, texts: Any) -> list[Any]:
    """Where texts stand in the picture, in points of the screen."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return [text.get_window_extent(canvas.get_renderer()) for text in texts(figure) if text.get_text()]


@pytest.mark.parametrize("count", [1, 2, 6])
def test_long_names_fit_and_leave_the_axes_their_room(count: int) -> None:
    scores = dict.fromkeys(AWKWARD[:count], SCORES["T=1.0"])
    figure = frontier_figure(scores)
    inside = boxes(figure, lambda f: f.legends[0].get_texts())
    assert len(inside) == count
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.width and box.y0 >= 0 for box in inside)
    assert figure.axes[0].get_position().height * figure.get_figheight() > 1.2
    ticks = metric_figure(scores, "distinct_2")
    labels = boxes(ticks, lambda f: f.axes[0].get_xticklabels())
    assert len(labels) == count
    assert all(box.y0 >= 0 for box in labels)
    assert ticks.axes[0].get_position().height * ticks.get_figheight() > 1.2
    apart = steps_figure({name: [step_trace(1.0, 2.0)] for name in AWKWARD})
    titles = boxes(apart, lambda f: [axes.title if axes.title.get_text() else axes._left_title for axes in f.axes[::2]])
    assert len(titles) == 6
    assert all(box.x1 <= apart.bbox.width for box in titles)


@pytest.mark.parametrize("low", [1.01, 2.0, 9.0, 1234.0])
@pytest.mark.parametrize("span", [1.02, 1.3, 2.0, 5.0, 12.0, 100.0, 5e3, 1e6, 1e9])
def test_ticks_of_perplexity_do_not_overprint(low: float, span: float) -> None:
    scores = {
        name: {"distinct_2": {"value": 0.5}, "perplexity": {"value": value}}
        for name, value in (("a", low), ("b", low * span))
    }
    figure = frontier_figure(scores)
    labels = sorted(boxes(figure, lambda f: f.axes[0].get_xticklabels()), key=lambda box: box.x0)
    assert len(labels) >= 2
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(labels))


def test_chinese_is_drawn_in_a_font_that_has_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    say_missing.cache_clear()
    for number in range(2):
        save(frontier_figure({"冷 狐狸": SCORES["T=1.0"]}), tmp_path / f"{number}.png")
    assert len(caplog.messages) == (0 if len(families()) > 1 else 1)


def test_without_such_a_font_one_line_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    say_missing.cache_clear()
    monkeypatch.setattr("temp_processors.report.figures.families", lambda: ["DejaVu Sans"])
    for end in ("png", "svg"):
        save(frontier_figure({"狐狸": SCORES["T=1.0"]}), tmp_path / f"x.{end}")
    assert caplog.messages == [
        "pictures show boxes for 狐狸: no installed font has them; Noto Sans CJK has Chinese, Japanese and Korean"
    ]
