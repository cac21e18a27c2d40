"""The scripts that time the engine run, and print a line for every side."""

from __future__ import annotations

import re
import runpy

import pytest
import torch

from tests.paths import ROOT
from tests.script_output import output_of


@pytest.mark.slow
def test_engines_prints_its_table() -> None:
    printed = output_of("benchmark_engines.py", "--model", "fox", "--rounds", "1")
    found = dict(re.findall(r"^(ours|generate) +(\d+) tokens/s +[\d.]+ x is ours$", printed, re.M))
    assert set(found) == {"ours", "generate"}
    assert min(map(int, found.values())) > 0


@pytest.mark.slow
def test_gpu_runs_on_the_cpu_at_small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without compiling, which takes a minute here: `torch.compile` returns the policy as it is."""
    monkeypatch.setenv("TORCH_COMPILE_DISABLE", "1")
    printed = output_of("benchmark_gpu.py", "--device", "cpu", "--quick", "--no-generate-batch")
    policies, engine, log_probs = printed.split("## ")[1:]
    lines = re.findall(r"^\| (float32|bfloat16) \| 8 \| 2,048 \| (fixed|dynamic|dynamic, compiled) \|", policies, re.M)
    assert len(set(lines)) == 6
    assert set(re.findall(r"^(\w+) +\d+ tokens/s", engine, re.M)) == {"ours", "generate"}
    assert set(re.findall(r"^\| fixed \| 64 \| (\w+) \| [\d.]+ \(", log_probs, re.M)) == {
        "straightforward",
        "trl",
        "chunked",
    }


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_gpu_says_that_there_is_none(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    monkeypatch.setattr("sys.argv", ["benchmark_gpu.py"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "scripts" / "benchmark_gpu.py"), run_name="__main__")
    said = capsys.readouterr()
    assert (ended.value.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert said.err.startswith("no GPU here")


@pytest.mark.slow
def test_sweep_prints_a_line_for_every_way() -> None:
    arguments = (
        "--models",
        "fox",
        "--prompt-tokens",
        "8",
        "--samples",
        "2",
        "--new-tokens",
        "8",
        "--repeats",
        "1",
        "--early",
    )
    printed = output_of("benchmark_sweep.py", *arguments)
    ways = re.findall(r"^  (\w+(?: \w+)?) +[\d.]+ s +\d+ tokens/s", printed, re.M)
    assert ways == ["loop", "policy", "ours", "decode", "forward dynamic", "forward static", "forward preallocated"]
    assert "times as fast as dropping them" in printed
