"""The page's data and its file: nothing lost, nothing dangerous, and whatever is missing is named."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

from temp_processors.cli.report import report_command
from temp_processors.report.page import page_html, safe_json, write_page
from temp_processors.report.page_data import page_data
from temp_processors.report.plots import run_figures
from temp_processors.report.tokens import token_text, visible
from temp_processors.runs.lenient import load_run
from tests.report.report_run import make_run

HOSTILE = '</script><img src=x onerror="window.hacked=1"><!--<script>'


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("report") / "run", samples=3, steps=5)


def copy_of(folder: Path, to: Path) -> Path:
    to.mkdir()
    for file in folder.iterdir():
        if file.is_file():
            (to / file.name).write_bytes(file.read_bytes())
    return to


def all_notes(data: dict[str, Any]) -> list[str]:
    return [*data["notes"], *(note for notes in data["paneNotes"].values() for note in notes)]


def floats(text: str) -> list[float]:
    data = base64.b64decode(text)
    return list(struct.unpack(f"<{len(data) // 4}f", data))


def test_every_text_and_every_recorded_logit_is_on_the_page(run_folder: Path) -> None:
    run = load_run(run_folder)
    data = page_data(run)
    assert run.notes == ()
    assert all_notes(data) == []
    assert [s[3] for s in data["samples"]] == [s["text"] for s in run.samples]
    for policy, prompt, sample, _, _, _, place, *_ in data["samples"]:
        trace = run.traces[data["policies"][policy], prompt, sample]
        assert floats(data["traces"][place]["topLogits"]) == [x for top in trace.top_logits for x in top]
        assert floats(data["traces"][place]["columns"])[:5] == pytest.approx(trace.entropy)


def test_pieces_put_together_are_the_text(run_folder: Path) -> None:
    data = page_data(load_run(run_folder))
    for sample in data["samples"]:
        packed = base64.b64decode(data["traces"][sample[6]]["tokens"])
        tokens = struct.unpack(f"<{len(packed) // 4}I", packed)
        assert "".join(data["pieces"][t][0] for t in tokens).strip() == sample[3].strip()


@pytest.mark.parametrize(
    ("missing", "note"),
    [
        ("DONE", "DONE is missing: the run did not finish"),
        ("config.yaml", "config.yaml is missing"),
        ("samples.jsonl", "samples.jsonl is missing"),
        ("metrics.json", "metrics.json is missing"),
        ("environment.json", "environment.json is missing"),
        ("stack.json", "stack.json is missing"),
        ("traces.parquet", "traces.parquet is missing"),
    ],
)
def test_what_is_missing_is_named_and_the_rest_is_shown(
    run_folder: Path, tmp_path: Path, missing: str, note: str
) -> None:
    folder = copy_of(run_folder, tmp_path / "half")
    (folder / missing).unlink()
    data = page_data(load_run(folder))
    assert note in " ".join(all_notes(data))
    assert data["samples"] or data["metrics"]
    assert write_page([folder], tmp_path / "page.html").stat().st_size > 10_000
    run_figures(load_run(folder))


@pytest.mark.parametrize(
    ("file", "content", "note"),
    [
        ("config.yaml", "a: [", "config.yaml is damaged"),
        ("metrics.json", "{", "metrics.json is damaged"),
        ("metrics.json", "[]", "metrics.json is damaged: it holds no mapping"),
        ("metrics.json", '{"scores": {}}', "metrics.json is of another version"),
        ("environment.json", "\x00", "environment.json is damaged"),
        ("traces.parquet", "no parquet", "traces.parquet is damaged"),
        (
            "samples.jsonl",
            '{"policy": "T=0.1", "prompt_id"',
            "samples.jsonl: 1 lines are damaged and left out",
        ),
    ],
)
def test_damage_is_named(run_folder: Path, tmp_path: Path, file: str, content: str, note: str) -> None:
    folder = copy_of(run_folder, tmp_path / "damaged")
    (folder / file).write_text(content, encoding="utf-8")
    assert note in " ".join(all_notes(page_data(load_run(folder))))


@pytest.mark.parametrize("content", ["", "{", "[]", "\x00", '{"model": {"type": "BPE"}}', '{"version": 2}'])
def test_a_damaged_tokenizer_costs_the_texts_of_tokens_alone(run_folder: Path, tmp_path: Path, content: str) -> None:
    folder, model = copy_of(run_folder, tmp_path / "run"), tmp_path / "model"
    model.mkdir()
    (model / "tokenizer.json").write_text(content, encoding="utf-8")
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    (folder / "config.yaml").write_text(yaml.safe_dump({**config, "model": str(model)}), encoding="utf-8")
    data = page_data(load_run(folder))
    (note,) = data["paneNotes"]["strip"]
    assert note.startswith(f"{model / 'tokenizer.json'} cannot be read: ")
    assert note.endswith(". Tokens are shown by their numbers.")
    assert all(shown.startswith("#") for _, shown in data["pieces"])


def test_a_half_written_last_line_costs_only_that_line(run_folder: Path, tmp_path: Path) -> None:
    folder = copy_of(run_folder, tmp_path / "cut")
    lines = (folder / "samples.jsonl").read_bytes()
    (folder / "samples.jsonl").write_bytes(lines[:-20])
    run = load_run(folder)
    assert len(run.samples) == lines.count(b"\n") - 1


def test_a_big_run_is_cut_evenly_and_says_so(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = load_run(run_folder)
    cells = {(s["policy"], s["prompt_id"]) for s in run.samples}
    size = sum(len(s["text"].encode()) + 60 for s in run.samples)
    monkeypatch.setattr("temp_processors.report.page_data.TEXT_BYTES", size * 0.67)
    data = page_data(run)
    kept = [sum((data["policies"][s[0]], s[1]) == cell for s in data["samples"]) for cell in cells]
    assert max(kept) - min(kept) <= 1 < len(run.samples) / len(cells)
    assert f"{len(data['samples']):,} of {len(run.samples):,} texts" in " ".join(data["paneNotes"]["wall"])


def test_traces_are_cut_before_texts(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("temp_processors.report.page_data.TRACE_BYTES", (6_000, 6_000))
    data = page_data(load_run(run_folder))
    assert 0 < len(data["traces"]) < len(data["samples"])
    assert "The tokens of" in data["paneNotes"]["strip"][0]


def test_of_a_big_trace_file_the_first_samples_are_read(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("temp_processors.runs.lenient.MOST_TRACE_ROWS", 100)
    run = load_run(run_folder)
    assert {sample for _, _, sample in run.traces} == {0, 1}
    assert "traces.parquet has 120 rows: the samples numbered below 2 were read" in run.notes[0]


@pytest.mark.parametrize("text", [HOSTILE, "\ud83d", "\u2028{{script}}{{style}}", "]]>\x00"])
def test_safe_json_is_inert_and_reads_back(text: str) -> None:
    written = safe_json({"text": text, "nan": float("nan")})
    assert "<" not in written
    written.encode("utf-8")
    assert json.loads(written) == {"text": text, "nan": None}


def test_the_page_holds_hostile_text_only_as_data() -> None:
    page = page_html({"runs": [], "text": HOSTILE + "{{script}}"})
    assert page.count("<img") == 0
    assert page.count("</script>") == 2
    assert "http-equiv" in page
    assert len(page) < 300_000


def test_token_texts() -> None:
    cases: list[tuple[str, bool, str]] = [
        ("Ġfox", True, " fox"),
        ("Ċ", True, "\n"),
        ("Ã©", True, "é"),
        ("ðŁĺ", True, "<F0><9F><98>"),
        ("<|end|>", True, "<|end|>"),
        ("▁fox", False, " fox"),
        ("<0x0A>", False, "\n"),
        ("<0xE2>", False, "<E2>"),
    ]
    assert [token_text(name, byte_level) for name, byte_level, _ in cases] == [text for _, _, text in cases]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", "⟨empty⟩"),
        ("\x00", "⟨U+0000⟩"),
        ("\u202eabc", "⟨U+202E⟩abc"),
        ("\u0301", "◌\u0301"),
        ("é\u200d", "é⟨U+200D⟩"),
        ("שלום", "שלום"),
        (" a b\t", "␣a␣b⇥"),
    ],
)
def test_nothing_on_the_strip_is_invisible(text: str, shown: str) -> None:
    assert visible(text) == shown


def command(*arguments: str) -> Any:
    app = typer.Typer()
    app.command()(report_command)
    return CliRunner().invoke(app, list(arguments))


def test_report_command_writes_page_and_pictures(run_folder: Path, tmp_path: Path) -> None:
    folder = copy_of(run_folder, tmp_path / "run")
    assert command(str(folder)).exit_code == 0
    assert (folder / "report.html").exists()
    assert (folder / "plots" / "frontier_distinct_2.svg").exists()


def test_report_command_refuses_in_one_line(tmp_path: Path) -> None:
    result = command(str(tmp_path / "nowhere"))
    assert (result.exit_code, "nowhere: no such run folder" in result.output) == (2, True)
