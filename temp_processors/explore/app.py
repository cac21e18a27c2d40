"""The page itself, in Gradio: which widgets there are, and which action each of them calls."""

from __future__ import annotations

import os
from importlib.resources import files
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from temp_processors.engines.local import LocalEngine
from temp_processors.explore import stale
from temp_processors.explore.forms import HOTTEST, FieldForm, form, policy_kinds
from temp_processors.explore.guard import Guard, Hosts
from temp_processors.explore.handlers import Handlers
from temp_processors.explore.markup import COLOURINGS
from temp_processors.explore.screen import COLUMNS, LONGEST_PROMPT, LONGEST_TEXT, MOST_SAMPLES

PROMPT = "The quick brown fox"
TEMPERATURES = (0.5, 1.0, 1.5, 2.0)
SHOWN = 2
AT_ONCE = 4  # visitors whose texts are drawn at the same time; the others wait in the queue
SESSIONS = 32
"""Visitors whose last texts are kept, about a megabyte each; the others' are forgotten, and drawn again when asked for."""


class Column:
    """One policy on the page: its form, and where its results go."""

    def __init__(self, name: str, temperature: float, *, visible: bool) -> None:
        self.fields: list[Any] = []
        self.groups: dict[str, Any] = {}
        with gr.Column(visible=visible, min_width=280, elem_id=f"column-{name}") as self.block:
            gr.Markdown(f"### {name}")
            self.kind = gr.Dropdown(list(policy_kinds()), value="fixed", label="policy", elem_id=f"{name}-kind")
            for kind, model in policy_kinds().items():
                with gr.Group(visible=kind == "fixed") as self.groups[kind]:
                    self.fields += [_widget(field, f"{name}-{kind}-{field.name}", temperature) for field in form(model)]
            self.bars, self.text, self.samples = (
                gr.HTML(elem_id=f"{name}-{part}") for part in ("bars", "text", "samples")
            )
        self.kind.change(
            self._visible, self.kind, list(self.groups.values()), api_visibility="private", show_progress="hidden"
        )

    @property
    def inputs(self) -> list[Any]:
        """The kind, then every field of every kind."""
        return [self.kind, *self.fields]

    def _visible(self, chosen: str) -> list[Any]:
        return [gr.update(visible=kind == chosen) for kind in self.groups]


def _widget(field: FieldForm, elem_id: str, temperature: float) -> Any:
    label = field.name.replace("_", " ") + ("" if field.required else " (optional)")
    shared: dict[str, Any] = {"label": label, "elem_id": elem_id, "interactive": True}
    if field.widget == "slider":
        start = temperature if elem_id.endswith("-fixed-temperature") else field.start
        return gr.Slider(0.0, HOTTEST, value=start, step=0.01, **shared)
    if field.widget == "choice":
        return gr.Dropdown(list(field.choices), value=field.start, **shared)
    if field.widget in ("number", "whole"):
        return gr.Number(field.start, precision=0 if field.widget == "whole" else None, **shared)
    return gr.Textbox(field.start, **shared)


class Settings:
    """What is asked once for all policies."""

    def __init__(self) -> None:
        prompt = gr.Textbox(PROMPT, label="prompt", lines=2, max_length=LONGEST_PROMPT, elem_id="prompt")
        with gr.Row():
            self.count = gr.Radio([*range(1, len(COLUMNS) + 1)], value=SHOWN, label="policies", elem_id="columns")
            longest = gr.Slider(1, LONGEST_TEXT, value=32, step=1, label="longest text (tokens)", elem_id="longest")
            seed = gr.Number(0, precision=0, minimum=0, label="seed", elem_id="seed")
            samples = gr.Slider(1, MOST_SAMPLES, value=16, step=1, label="samples for diversity", elem_id="samples")
            self.colouring = gr.Radio(list(COLOURINGS), value="entropy", label="colour of tokens", elem_id="colouring")
        self.inputs = [prompt, self.count, longest, seed, samples]


def build_app(loaded: LocalEngine, model: str) -> gr.Blocks:
    """The page on a model that is loaded; `model` is its name in a configuration."""
    act = Handlers(loaded, model)
    with gr.Blocks(title="Temperature explorer", analytics_enabled=False, fill_width=True) as page:
        gr.Markdown("# Temperature explorer")
        gr.HTML(act.about())
        settings = Settings()
        with gr.Row():
            buttons = [
                gr.Button("Generate", variant="primary", elem_id="generate"),
                gr.Button("Measure diversity", elem_id="measure"),
                gr.Button("Stop", elem_id="stop"),
            ]
        problem = gr.HTML(elem_id="problem")
        gr.HTML(stale.line("scores"), elem_id="stale-scores")
        scores = gr.HTML(elem_id="scores")
        gr.HTML(stale.line("texts"), elem_id="stale-texts")
        notes = [problem, scores, gr.HTML(elem_id="legend")]
        with gr.Row():
            columns = [
                Column(*pair, visible=i < SHOWN) for i, pair in enumerate(zip(COLUMNS, TEMPERATURES, strict=True))
            ]
        with gr.Row():
            recipes = [
                gr.Code(label="experiment: temp-processors run FILE", language="yaml", elem_id="yaml"),
                gr.Code(label="the same texts from Python", language="python", elem_id="python"),
            ]
        _connect(page, act, settings, columns, buttons, notes, recipes)
    return page


def _connect(
    page: gr.Blocks,
    act: Handlers,
    settings: Settings,
    columns: list[Column],
    buttons: list[Any],
    notes: list[Any],
    recipes: list[Any],
) -> None:
    """Which action follows from what; the two states belong to one visitor each."""
    seen, texts = gr.State(None), gr.State([])
    problem, scores, legend = notes
    run, measure, stop = buttons
    inputs = [*settings.inputs, *(widget for column in columns for widget in column.inputs)]
    bars, strips, lists = ([getattr(column, part) for column in columns] for part in ("bars", "text", "samples"))
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    shared: dict[str, Any] = {"concurrency_limit": AT_ONCE, **quiet}
    changes = [page.load, *(widget.change for widget in inputs)]
    gr.on([widget.change for widget in inputs], None, inputs, None, js=stale.COMPARED, **quiet)
    run.click(None, inputs, None, js=stale.made("texts"), **quiet)
    measure.click(None, inputs, None, js=stale.made("scores"), **quiet)
    gr.on(changes, act.look, [seen, *inputs], [seen, problem, *recipes, *bars], trigger_mode="always_last", **shared)
    drawing = run.click(act.generate, [settings.colouring, *inputs], [texts, problem, legend, *strips], **shared)
    measuring = measure.click(act.measure, inputs, [problem, scores, *lists], **shared)
    stop.click(None, cancels=[drawing, measuring], **quiet)
    settings.colouring.change(act.colour, [texts, settings.colouring], [legend, *strips], **quiet)
    settings.count.change(_visible_columns, settings.count, [column.block for column in columns], **quiet)


def _visible_columns(count: int) -> list[Any]:
    return [gr.update(visible=i < count) for i in range(len(COLUMNS))]


def launch(
    page: gr.Blocks,
    *,
    host: str | None = None,
    port: int | None = None,
    hosts: Hosts | None = None,
    wait: bool = True,
) -> str:
    """Serve the page from this machine alone, and return its address.

    Args:
        page: What `build_app` made.
        host: Address to listen on; 127.0.0.1, or where a Space says (GRADIO_SERVER_NAME).
        port: Port to listen on; the first free one from 7860 by default.
        hosts: Names under which the page may be asked for; by default those of this machine and of `host`.
        wait: Whether to go on only when the server has ended.

    Raises:
        OSError: No such address, or no free port.
    """
    page.queue(max_size=64)
    allowed = hosts or Hosts.of(host or os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"))
    _, address, _ = page.launch(
        app_kwargs={"middleware": [Middleware(Guard, hosts=allowed)]},
        server_name=host,
        server_port=port,
        share=False,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        quiet=True,
        prevent_thread_lock=True,
        state_session_capacity=SESSIONS,
        footer_links=[],
        theme=gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]),
        css=(files("temp_processors.explore") / "style.css").read_text(encoding="utf-8"),
    )
    if wait:
        page.block_thread()
    return str(address)
