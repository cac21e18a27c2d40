"""What is not as the run wrote it is named, and drawn or written again, or refused: never silently other data."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from transformers import AutoTokenizer
from typer.testing import CliRunner

from temp_processors.cli.app import app
from temp_processors.config.experiment import ExperimentConfig
from temp_processors.config.loading import load_config
from temp_processors.experiment.prompts import tokenizer_digest
from temp_processors.experiment.run import run_experiment
from temp_processors.fox import FOX_PATH
from temp_processors.runs.checksums import DamagedLineError
from temp_processors.runs.folder import Run, RunFolderError
from temp_processors.runs.lenient import load_run
from temp_processors.runs.sample import Sample, sample_line, sample_of_line

SMALL = ["samples_per_prompt=3", "max_new_tokens=4", "metrics=[distinct_1, perplexity]", "traces={top_k: 2}"]
RESULTS = ("config.yaml", "environment.json", "stack.json", "metrics.json", "comparison.csv", "samples.parquet")


def config_in(folder: Path, *more: str) -> ExperimentConfig:
    return load_config("fox", [*SMALL, *more], out=folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_experiment(config_in(tmp_path_factory.mktemp("trust") / "run")).path


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return copied(whole, tmp_path / "run")


def copied(whole: Path, to: Path) -> Path:
    """The complete run in another folder, as if it had been written there."""
    shutil.copytree(whole, to)
    return to


def resumed(folder: Path, whole: Path, *more: str) -> str:
    """What `--resume` says, with the settings that the run was begun with."""
    said = StringIO()
    config = config_in(whole, *more).model_copy(update={"out": str(whole)})
    run_experiment_in(folder, config, said)
    return said.getvalue()


def run_experiment_in(folder: Path, config: ExperimentConfig, said: StringIO) -> None:
    """Run with `out` as it was, in another place: the folder is moved there and back."""
    home = Path(str(config.out))
    kept = home.with_name("kept")
    home.rename(kept)
    try:
        folder.rename(home)
        try:
            run_experiment(config, resume=True, console=Console(file=said, width=500))
        finally:
            home.rename(folder)
    finally:
        kept.rename(home)


def assert_equal(got: Path, wanted: Path) -> None:
    assert sorted((got / "samples.jsonl").read_bytes().splitlines()) == sorted(
        (wanted / "samples.jsonl").read_bytes().splitlines()
    )
    for name in (*RESULTS, "traces.parquet", "SHA256SUMS", "DONE"):
        assert (got / name).read_bytes() == (wanted / name).read_bytes(), name


def change(number: int, edit: Callable[[Sample], Sample]) -> Callable[[list[bytes]], None]:
    """Replaces a line by one that a run could have written, checksum included."""

    def changed(lines: list[bytes]) -> None:
        lines[number] = sample_line(edit(sample_of_line(lines[number], needed=True))).encode()

    return changed


def unchecked(lines: list[bytes]) -> None:
    lines[2] = json.dumps(asdict(sample_of_line(lines[2], needed=True))).encode() + b"\n"


BAD_LINES: dict[str, tuple[Callable[[list[bytes]], object], str]] = {
    "a flipped bit": (lambda lines: lines.__setitem__(3, lines[3].replace(b"fox", b"fnx")), "samples.jsonl:4: its checksum differs"),
    "a line twice": (lambda lines: lines.append(lines[5]), "samples.jsonl:19: is there twice"),
    "an empty object": (lambda lines: lines.insert(1, b"{}\n"), "samples.jsonl:2: has no checksum"),
    "an empty line": (lambda lines: lines.insert(0, b"\n"), "samples.jsonl:1: has no checksum"),
    "no JSON": (lambda lines: lines.__setitem__(4, b"\xff\x00[[[[\n"), "samples.jsonl:5: has no checksum"),
    "no checksum": (unchecked, "samples.jsonl:3: has no checksum"),
    "sample 99": (change(2, lambda s: replace(s, sample_id=99)), "samples.jsonl:3: sample_id 99 is none of this run, which has 3"),
    "sample -1": (change(2, lambda s: replace(s, sample_id=-1)), "sample_id -1 is none of this run"),
    "prompt 7": (change(2, lambda s: replace(s, prompt_id=7)), "prompt_id 7 is none of this run, which has 1"),
    "another policy": (change(2, lambda s: replace(s, policy="T=9")), "policy 'T=9' is none of this run"),
    "another seed": (change(2, lambda s: replace(s, seed=1)), "its seed or its prompt is not that of this sample"),
    "another prompt": (change(2, lambda s: replace(s, prompt="x")), "its seed or its prompt is not that of this sample"),
    "too long": (change(2, lambda s: replace(s, token_ids=[5] * 9)), "more than 4 tokens"),
    "a line less": (lambda lines: lines.pop(7), "going on: 17 of 18 texts are there"),
    "two lines in one": (lambda lines: lines.__setitem__(8, lines[8][:-1]), "samples.jsonl:9: its checksum differs"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_LINES)
def test_a_line_that_cannot_be_trusted_is_named_and_drawn_again(case: str, run: Path, whole: Path) -> None:
    damage, said = BAD_LINES[case]
    complete = len(case) % 2 == 0
    lines = (run / "samples.jsonl").read_bytes().splitlines(keepends=True)
    damage(lines)
    (run / "samples.jsonl").write_bytes(b"".join(lines))
    if not complete:
        (run / "DONE").unlink()
    assert said in resumed(run, whole)
    assert_equal(run, whole)


def test_every_flipped_bit_of_a_line_is_seen() -> None:
    line = sample_line(Sample("T", 0, 1, 3, "p", "é\u2028\x00", [1, 2], "stop", -1.0)).encode()
    assert sample_of_line(line, needed=True).text == "é\u2028\x00"
    for bit in range(8 * len(line)):
        flipped = bytearray(line)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DamagedLineError):
            sample_of_line(bytes(flipped), needed=True)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{}", "it has no `policy`"),
        (b"[" * 100_000, "it is nested too deep"),
        (b"\xff", "Invalid JSON"),
        (b"[1]", "an object"),
        (sample_line(Sample("T", 0, 1, 3, "p", "t", [1], "stop", float("nan"))).encode(), "log_prob"),
        (json.dumps({**asdict(Sample("T", 0, 1, 3, "p", "t", [1], "stop", -1.0)), "token_ids": [True]}).encode(), "token_ids.0"),
    ],
    ids=["empty", "deep", "bytes", "list", "nan", "bool"],
)  # fmt: skip
def test_a_line_of_an_earlier_version_is_checked_by_its_types(line: bytes, reason: str) -> None:
    with pytest.raises(DamagedLineError, match=reason):
        sample_of_line(line, needed=False)


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"[" * 5000], ids=["bytes", "deep"])
def test_a_damaged_file_is_written_again(name: str, content: bytes, run: Path, whole: Path) -> None:
    (run / name).write_bytes(content)
    said = resumed(run, whole)
    assert f"{name}: was damaged" in said or f"{name}: is missing or damaged" in said
    assert_equal(run, whole)


@pytest.mark.parametrize("name", ["config.yaml", "environment.json"])
def test_a_damaged_file_that_this_command_would_not_have_written_is_refused(
    name: str, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`out` is another one, and so is the machine: nothing says what the file was."""
    monkeypatch.setattr("platform.platform", lambda: "elsewhere")
    with (run / name).open("ab") as out:
        out.write(b"\n")
    with pytest.raises(
        RunFolderError, match=r"is not as the run wrote it .*damaged or edited; put the file back"
    ) as told:
        run_experiment(config_in(run), resume=True)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.yaml", b"a: [", "is not valid YAML"),
        ("config.yaml", b"a: &a [*a]", "an alias stands inside"),
        ("config.yaml", b"\xff", "is no UTF-8"),
        ("config.yaml", b"- 1", "holds no mapping"),
        ("environment.json", b"{", "environment.json: is damaged"),
        ("environment.json", b"[]", "holds no mapping"),
        ("environment.json", b"{}", "-model is None"),
    ],
)
def test_a_damaged_file_of_an_earlier_version_is_refused_by_name(
    name: str, content: bytes, message: str, run: Path
) -> None:
    (run / "SHA256SUMS").unlink()
    (run / name).write_bytes(content)
    with pytest.raises(RunFolderError, match=message):
        run_experiment(config_in(run), resume=True)


@pytest.mark.parametrize("name", RESULTS)
def test_a_file_that_is_gone_is_written_again(name: str, run: Path, whole: Path) -> None:
    before = (run / "samples.jsonl").stat().st_mtime_ns
    (run / name).unlink()
    resumed(run, whole)
    assert_equal(run, whole)
    assert (run / "samples.jsonl").stat().st_mtime_ns == before


def flip(folder: Path, seed: int) -> str:
    """One bit of one file, by chance over all bits of the folder; what was flipped."""
    draw = random.Random(seed)
    files = sorted(
        path for path in folder.rglob("*") if path.is_file() and path.name != ".lock" and path.stat().st_size
    )
    path = draw.choice(files)
    content = bytearray(path.read_bytes())
    bit = draw.randrange(8 * len(content))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    return f"{path.name}, bit {bit}"


def assert_identical_or_refused(seed: int, run: Path, whole: Path) -> None:
    flipped = flip(run, seed)
    if seed % 2:
        (run / "DONE").unlink()
    refusal = ""
    try:
        resumed(run, whole)
    except RunFolderError as error:
        refusal = str(error)
    if refusal:
        assert str(whole) in refusal, flipped
    else:
        assert_equal(run, whole)


@pytest.mark.parametrize("seed", range(14))
def test_a_flipped_bit_gives_the_same_run_or_a_refusal(seed: int, run: Path, whole: Path) -> None:
    assert_identical_or_refused(seed, run, whole)


@pytest.mark.slow
def test_two_hundred_flipped_bits(whole: Path, tmp_path: Path) -> None:
    for seed in range(1000, 1200):
        assert_identical_or_refused(seed, copied(whole, tmp_path / str(seed)), whole)


@pytest.mark.parametrize("complete", [True, False], ids=["complete", "unfinished"])
@pytest.mark.parametrize(
    ("setting", "difference"),
    [
        ("max_new_tokens=5", r"-max_new_tokens: 4\n  \+max_new_tokens: 5"),
        ("prompts=[The lazy dog]", r"-- The quick brown fox\n  \+- The lazy dog"),
        ("policies.0.temperature=0.2", r"-  temperature: 0.1\n  \+  temperature: 0.2"),
    ],
)
def test_other_settings_are_refused_with_the_difference(
    setting: str, difference: str, complete: bool, run: Path
) -> None:
    if not complete:
        (run / "DONE").unlink()
    before = (run / "samples.jsonl").read_bytes()
    with pytest.raises(RunFolderError, match=difference):
        run_experiment(config_in(run, setting), resume=True)
    assert (run / "samples.jsonl").read_bytes() == before


def test_other_prompts_in_the_same_file_are_refused(tmp_path: Path) -> None:
    prompts, out = tmp_path / "prompts.txt", tmp_path / "run"
    prompts.write_text("The quick brown fox\n")
    settings = [f"prompts={{file: {prompts}}}", "traces=false"]
    assert run_experiment(config_in(out, *settings)).complete
    prompts.write_text("The lazy dog\n")
    with pytest.raises(RunFolderError, match=r"-prompts \(their tokens\): digest \w+\n  \+prompts \(their tokens\)"):
        run_experiment(config_in(out, *settings), resume=True)


def other_tokenizer(folder: Path, edit: Callable[[dict[str, object]], object]) -> Path:
    """The model of `fox` with a changed `tokenizer.json`."""
    shutil.copytree(FOX_PATH, folder)
    data = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    edit(data)
    (folder / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
    return folder


def test_another_tokenizer_is_refused(tmp_path: Path) -> None:
    """A token's text is another one: prompts have the same tokens, continuations would read otherwise."""

    def renamed(data: dict[str, object]) -> None:
        vocabulary = data["model"]["vocab"]  # type: ignore[index]
        merged = {part for rule in data["model"]["merges"] for part in rule}  # type: ignore[index]
        token = next(t for t in vocabulary if len(t) == 1 and t not in merged)
        vocabulary["◊"] = vocabulary.pop(token)

    model, out = tmp_path / "model", tmp_path / "run"
    shutil.copytree(FOX_PATH, model)
    settings = [f"model={model}", "traces=false"]
    run_experiment(config_in(out, *settings))
    shutil.rmtree(model)
    other_tokenizer(model, renamed)
    with pytest.raises(RunFolderError, match=r"-tokenizer: digest \w+\n  \+tokenizer: digest \w+$"):
        run_experiment(config_in(out, *settings), resume=True)


def test_the_digest_of_a_tokenizer_sees_its_merges_and_not_how_it_was_called(tmp_path: Path) -> None:
    fox = AutoTokenizer.from_pretrained(FOX_PATH)
    before = tokenizer_digest(fox)
    fox(["a", "the quick"], padding=True, truncation=True, max_length=2)
    assert tokenizer_digest(fox) == before
    swapped = other_tokenizer(tmp_path / "model", lambda data: data["model"]["merges"].reverse())  # type: ignore[index]
    assert tokenizer_digest(AutoTokenizer.from_pretrained(swapped)) != before


def test_other_versions_are_said(run: Path, whole: Path) -> None:
    (run / "DONE").unlink()
    (run / "SHA256SUMS").unlink()
    text = (run / "environment.json").read_text()
    held = json.loads(text)
    held["packages"]["torch"] = "2.6.0"
    (run / "environment.json").write_text(json.dumps(held))
    said = StringIO()
    run_experiment(config_in(run), resume=True, console=Console(file=said, width=500))
    assert "versions since the run began: torch 2.6.0 -> " in said.getvalue()


def test_what_moves_no_text_may_differ(tmp_path: Path) -> None:
    from temp_processors.runs.resume import refuse_if_changed

    def settings(url: str, timeout: float) -> str:
        options = [*SMALL, "engine=vllm", f"base_url={url}", f"engine_options={{timeout: {timeout}}}"]
        return load_config("fox", options).to_yaml()

    (tmp_path / "config.yaml").write_text(settings("http://one:8000/v1", 5.0))
    refuse_if_changed(Run(tmp_path), settings("http://two:9000/v1", 60.0))
    with pytest.raises(RunFolderError, match="engine"):
        refuse_if_changed(Run(tmp_path), config_in(tmp_path).to_yaml())


def test_readers_name_what_is_damaged(run: Path) -> None:
    lines = (run / "samples.jsonl").read_bytes().splitlines(keepends=True)
    (run / "samples.jsonl").write_bytes(b"".join([lines[0], lines[1].replace(b"fox", b"fix"), *lines[2:]]))
    for name in ("metrics.json", "samples.parquet"):
        with (run / name).open("ab") as out:
            out.write(b" ")
    loaded = Run.load(run)
    with pytest.raises(ValueError, match=r"samples.jsonl:2: is damaged: its checksum differs; `run --resume` draws"):
        list(loaded.samples)
    with pytest.raises(RunFolderError, match=r"metrics.json: is damaged: its checksum in SHA256SUMS differs"):
        _ = loaded.metrics
    with pytest.raises(RunFolderError, match=r"samples\.parquet: is missing or damaged"):
        loaded.to_pandas()
    notes = " ".join(load_run(run).notes)
    assert "samples.jsonl: 1 lines are damaged and left out (line 2)" in notes
    assert "metrics.json is not as the run wrote it: its checksum differs." in notes


def test_the_command_says_it_in_lines(run: Path) -> None:
    flags = [flag for setting in SMALL for flag in ("--set", setting)]
    (run / "config.yaml").write_bytes(b"\xff")
    done = CliRunner().invoke(app, ["run", "fox", *flags, "--out", str(run), "--resume"])
    assert done.exit_code == 2
    assert isinstance(done.exception, SystemExit)
    assert "config.yaml: is not as the run wrote it" in done.stderr
