"""The page itself, in Gradio: which widgets there are, and which action each of them calls."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from importlib.resources import files
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from temp_processors.engines.local import LocalEngine
from temp_processors.explore import stale
from temp_processors.explore.forms import (
    HOTTEST,
    FieldForm,
    field_keys,
    form,
    offered_presets,
    policy_kinds,
    preset_values,
)
from temp_processors.explore.guard import Guard, Hosts
from temp_processors.explore.handlers import Handlers
from temp_processors.explore.loading import draws_as_typed
from temp_processors.explore.markup import COLOURINGS
from temp_processors.explore.screen import COLUMNS, LONGEST_PROMPT, LONGEST_TEXT, MOST_SAMPLES

PROMPT = "The quick brown fox jumped over the lazy dog. It was a"
"""Where the shipped model is uncertain: 2.6 nats of entropy over the next token, against 0.35 after the first four words."""
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
            self.bars = gr.HTML(elem_id=f"{name}-bars")
            with gr.Row(elem_classes="tp-choice"):
                kinds, presets = list(policy_kinds()), list(offered_presets())
                self.kind = gr.Dropdown(
                    kinds, value="fixed", label=f"{name}: policy", elem_id=f"{name}-kind", min_width=120
                )
                self.preset = gr.Dropdown(presets, value=None, label="preset", elem_id=f"{name}-preset", min_width=120)
            for kind, model in policy_kinds().items():
                with gr.Group(visible=kind == "fixed") as self.groups[kind]:
                    self.fields += [_widget(field, f"{name}-{kind}-{field.name}", temperature) for field in form(model)]
            self.text, self.samples = (gr.HTML(elem_id=f"{name}-{part}") for part in ("text", "samples"))
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        self.preset.input(_preset, self.preset, [self.kind, *self.fields], **quiet)
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
        return gr.Slider(0.0, HOTTEST, value=start, step=0.01, elem_classes="tp-heat", **shared)
    if field.widget == "choice":
        return gr.Dropdown(list(field.choices), value=field.start, **shared)
    if field.widget in ("number", "whole"):
        return gr.Number(field.start, precision=0 if field.widget == "whole" else None, **shared)
    return gr.Textbox(field.start, **shared)


def _preset(name: str | None) -> list[Any]:
    """The kind and the fields of a preset; every field of other kinds stays."""
    if name not in offered_presets():
        return [gr.skip()] * (1 + len(field_keys()))
    values = preset_values(str(name))
    kind = next(iter(values))[0]
    return [kind, *(gr.update(value=values[key]) if key in values else gr.skip() for key in field_keys())]


class Settings:
    """What is asked once for all policies: the prompt above the results, the others below them."""

    def __init__(self, *, chat: bool) -> None:
        self.prompt = gr.Textbox(PROMPT, label="prompt", lines=2, max_length=LONGEST_PROMPT, elem_id="prompt")
        label = "system prompt (makes the prompt a message of a chat; blank: a text to continue)"
        self.system = gr.Textbox("", label=label, max_length=LONGEST_PROMPT, elem_id="system", visible=chat)

    def below(self) -> None:
        """Lay out the settings that stand below the results."""
        with gr.Row():
            self.count = gr.Radio([*range(1, len(COLUMNS) + 1)], value=SHOWN, label="policies", elem_id="columns")
            self.colouring = gr.Radio(list(COLOURINGS), value="entropy", label="colour of tokens", elem_id="colouring")
            longest = gr.Slider(
                1, LONGEST_TEXT, value=32, step=1, label="longest text (tokens)", elem_id="longest", min_width=230
            )
            samples = gr.Slider(
                1, MOST_SAMPLES, value=16, step=1, label="samples for diversity", elem_id="samples", min_width=230
            )
            seed = gr.Number(0, precision=0, minimum=0, label="seed", elem_id="seed")
        self.inputs = [self.prompt, self.count, longest, seed, samples, self.system]


def build_app(loaded: LocalEngine, model: str) -> gr.Blocks:
    """The page on a model that is loaded; `model` is its name in a configuration."""
    act = Handlers(loaded, model)
    with gr.Blocks(title="Temperature explorer", analytics_enabled=False, fill_width=True) as page:
        gr.Markdown("# Temperature explorer")
        gr.HTML(act.about())
        settings = Settings(chat=bool(getattr(loaded.tokenizer, "chat_template", None)))
        problem = gr.HTML(elem_id="problem")
        gr.HTML(stale.line("texts"), elem_id="stale-texts")
        with gr.Row():
            columns = [
                Column(*pair, visible=i < SHOWN) for i, pair in enumerate(zip(COLUMNS, TEMPERATURES, strict=True))
            ]
        legend = gr.HTML(elem_id="legend")
        with gr.Row(elem_classes="tp-buttons"):
            live = gr.Checkbox(
                value=draws_as_typed(loaded.model), label="draw as I type", elem_id="live", min_width=140
            )
            buttons = [
                gr.Button("Generate", variant="primary", elem_id="generate", min_width=120),
                gr.Button("Measure diversity", elem_id="measure", min_width=120),
                gr.Button("Stop", elem_id="stop", min_width=120),
            ]
        gr.HTML(stale.line("scores"), elem_id="stale-scores")
        notes = [problem, gr.HTML(elem_id="scores"), legend]
        settings.below()
        with gr.Row():
            recipes = [
                gr.Code(
                    label="experiment: temp-processors run FILE",
                    language="yaml",
                    elem_id="yaml",
                    show_line_numbers=False,
                ),
                gr.Code(
                    label="the same texts from Python", language="python", elem_id="python", show_line_numbers=False
                ),
            ]
        _connect(page, act, settings, columns, [live, *buttons], notes, recipes)
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
    live, run, measure, stop = buttons
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
    typed = gr.on(
        [live.change, *changes],
        partial(_as_typed, act, len(strips)),
        [live, settings.colouring, *inputs],
        [texts, legend, *strips],
        trigger_mode="always_last",
        **shared,
    )
    typed.then(None, [live, *inputs], None, js=stale.made_if("texts"), **quiet)
    stop.click(None, cancels=[typed, drawing, measuring], **quiet)
    settings.colouring.change(act.colour, [texts, settings.colouring, settings.prompt], [legend, *strips], **quiet)
    settings.count.change(_visible_columns, settings.count, [column.block for column in columns], **quiet)


def _as_typed(act: Handlers, columns: int, on: bool, colouring: str, *values: Any) -> Iterator[Any]:
    """The texts of the settings as they are now, where the visitor wants them drawn without asking; mistakes are told by `look`."""
    if on is not True:
        yield [gr.skip()] * (2 + columns)
        return
    for texts, _, *shown in act.generate(colouring, *values):
        yield [texts, *shown]


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
        js=(files("temp_processors.explore") / "page.js").read_text(encoding="utf-8"),
        css=(files("temp_processors.explore") / "style.css").read_text(encoding="utf-8"),
    )
    if wait:
        page.block_thread()
    return str(address)
