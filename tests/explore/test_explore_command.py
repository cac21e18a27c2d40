"""`temp-processors explore` at the door: what is missing or taken is said in one line; the folder of a Space is whole."""

from __future__ import annotations

import importlib.util
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from temp_processors.cli.app import app
from temp_processors.cli.explore import INSTALL, ExploreError, check_address, is_local
from temp_processors.explore.space import write_space
from tests.paths import ROOT

PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def listed(name: str) -> list[str]:
    """The requirements of one list in pyproject.toml."""
    found = re.search(rf"^{name} = \[(.*?)\]", PYPROJECT, flags=re.M | re.S)
    assert found
    return re.findall(r'"([^"]+)"', found[1])


def test_without_gradio_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)  # as Python itself marks a package that cannot be imported
    result = CliRunner().invoke(app, ["explore"])
    assert result.exit_code == 2
    assert result.output == f"the explorer needs gradio, which is not installed: {INSTALL}\n"
    assert re.search(r'^name = "temp-processors"$', PYPROJECT, flags=re.M)
    assert listed("explore")


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ExploreError, match=f"^port {port} on 127.0.0.1 is in use: choose another with --port"):
            check_address("127.0.0.1", port)
    check_address("127.0.0.1", port)
    check_address("127.0.0.1", None)


@pytest.mark.parametrize("host", ["203.0.113.7", "not an address"])
def test_an_address_of_elsewhere_is_named(host: str) -> None:
    with pytest.raises(ExploreError, match=f"^--host {host} is no address of this machine"):
        check_address(host, None)


def test_a_bad_model_is_one_line() -> None:
    if importlib.util.find_spec("gradio") is None:
        pytest.skip("gradio is not installed: pip install -e '.[explore]'")
    result = CliRunner().invoke(app, ["explore", "no/such-model"])
    assert result.exit_code == 2
    assert result.output.startswith("model: 'no/such-model' is neither a folder nor a model that can be fetched")
    assert result.output.count("\n") == 1


def test_only_loopback_is_local() -> None:
    assert [is_local(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "example.org")] == [True] * 3 + [
        False
    ] * 2


def test_a_space_holds_what_it_needs(tmp_path: Path) -> None:
    folder = write_space(tmp_path / "space")
    requirements = (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert requirements == listed("dependencies")
    card = (folder / "README.md").read_text(encoding="utf-8")
    version = re.search(r"^sdk_version: (\d+)\.(\d+)\.\d+$", card, flags=re.M)
    least = re.fullmatch(r"gradio>=(\d+)\.(\d+)[.\d]*,<(\d+)", listed("explore")[0])
    assert version
    assert least
    assert (int(least[1]), int(least[2])) <= (int(version[1]), int(version[2])) < (int(least[3]), 0)
    assert not list(folder.rglob("__pycache__"))


def test_a_space_runs_from_its_folder_alone(tmp_path: Path) -> None:
    folder = write_space(tmp_path / "space")
    code = (
        "import temp_processors, temp_processors.explore.loading as l; l.load('fox'); print(temp_processors.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=120, check=True
    )
    assert Path(done.stdout.strip()).is_relative_to(folder)


def test_a_space_serves_the_model_that_was_named(tmp_path: Path) -> None:
    folder = write_space(tmp_path / "space", "org/name")
    assert "MODEL = 'org/name'" in (folder / "app.py").read_text(encoding="utf-8")


def test_a_space_is_not_written_over_something(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="holds something already"):
        write_space(tmp_path)
    result = CliRunner().invoke(app, ["explore", str(tmp_path), "--space", str(tmp_path / "new")])
    assert result.exit_code == 2
    assert "is a folder of this machine" in result.output
