"""The order of the rooms, and what each command loads: imports run one way, and light commands stay light."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.paths import ROOT
from tests.report.report_run import make_run

PACKAGE = ROOT / "temp_processors"
ORDER = (
    "version",
    "inert",
    "addresses",
    "splitmix",
    "fox",
    "evaluate_modules",
    "policies",
    "distribution",
    "sampling",
    "trace",
    "audit",
    "metrics",
    "datafiles",
    "tasks",
    "config",
    "serving",
    "vllm",
    "sglang",
    "exchange",
    "runs",
    "comparison",
    "engines",
    "custom_generate",
    "integrations",
    "experiment",
    "tuning",
    "report",
    "explore",
    "cli",
    "__main__",
)
"""Rooms and the few modules beside them, from the bottom up: each may import from itself and from those before it."""

LONE = {"version", "inert", "addresses", "splitmix", "distribution", "sampling", "vllm", "sglang", "__main__"}
"""The modules that stand outside of a room, beside `__init__`."""

SCRIPTS = (
    "evaluate_modules/distinct_n/",
    "evaluate_modules/self_bleu/",
    "custom_generate/recipe/",
    "explore/space/app.py",
)
"""Files that run elsewhere, where the package is installed: copied by `evaluate`, `transformers` and a Space."""

LIGHT = ("metrics", "datafiles", "tasks", "runs", "comparison", "report", "cli")
"""Rooms that load neither torch nor transformers."""

KNOWN: set[tuple[str, str]] = set()
"""Arrows that still run against the order."""


class Arrow(NamedTuple):
    """One import, from module to module; `deferred` inside a function or under TYPE_CHECKING."""

    source: str
    target: str
    deferred: bool


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


FILES = {
    module_of(path): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if not str(path.relative_to(PACKAGE)).startswith(SCRIPTS)
}


def targets(node: ast.AST) -> Iterator[str]:
    """The modules of this package that an import statement names, without the package's own name."""
    if isinstance(node, ast.Import):
        yield from (alias.name[16:] for alias in node.names if alias.name.startswith("temp_processors."))
    elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "temp_processors":
        inside = node.module[16:]
        for alias in node.names:
            deeper = f"{inside}.{alias.name}".lstrip(".")
            yield deeper if deeper in FILES else inside or "__init__"


@cache
def arrows() -> tuple[Arrow, ...]:
    found: set[Arrow] = set()
    for source, path in FILES.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        top = {id(node) for node in tree.body}
        for node in ast.walk(tree):
            found |= {Arrow(source, target, id(node) not in top) for target in targets(node)}
    return tuple(sorted(found))


def room(module: str) -> str:
    return module.split(".")[0]


def test_nothing_stands_outside_of_a_room() -> None:
    assert {path.stem for path in PACKAGE.glob("*.py")} == {*LONE, "__init__"}
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name not in ("__pycache__", "configs")}
    assert rooms == set(ORDER) - LONE


def test_relative_imports_are_not_used() -> None:
    for path in FILES.values():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.ImportFrom) and node.level), path


def test_no_circle_of_modules() -> None:
    graph: dict[str, set[str]] = {}
    for source, target, deferred in arrows():
        if not deferred and source != target:
            graph.setdefault(source, set()).add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_imports_run_down_the_order() -> None:
    place = {name: number for number, name in enumerate(ORDER)}
    wrong = {
        (source, target)
        for source, target, _ in arrows()
        if source != "__init__" and place[room(target)] > place[room(source)]
    }
    assert wrong == KNOWN


def loaded_by(code: str, *names: str, folder: Path = ROOT) -> set[str]:
    """Which of the modules are loaded after `code`, in a fresh interpreter."""
    ask = f"{code}\nimport sys\nprint('loaded:', *[n for n in {names!r} if n in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", ask], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rsplit("loaded:", 1)[1].split())


HEAVY = ("torch", "transformers", "datasets", "accelerate", "pandas")


def command(*arguments: str) -> str:
    """Code that runs the console command in this process, and goes on when it ends well."""
    return f"""import sys
from temp_processors.cli import main
sys.argv = {["temp-processors", *arguments]!r}
try:
    main()
except SystemExit as end:
    assert not end.code, end.code"""


@pytest.mark.parametrize(
    "name", sorted(name for name in FILES if room(name) in LIGHT and not name.startswith("report.tokens"))
)
def test_light_rooms_load_neither_torch_nor_transformers(name: str) -> None:
    """Read off the imports: what a module imports at its top is light, and so on down."""
    below: dict[str, set[str]] = {}
    for source, target, deferred in arrows():
        if not deferred:
            parents = {".".join(target.split(".")[:depth]) for depth in range(1, target.count(".") + 2)}
            below.setdefault(source, set()).update(parents & set(FILES))
    reached, todo = {name}, [name]
    while todo:
        new = below.get(todo.pop(), set()) - reached
        reached |= new
        todo += new
    outside = {(module, part) for module in reached for part in top_imports(FILES[module], top_only=True)}
    assert not [f"{module} imports {part}" for module, part in outside if part in HEAVY]


def top_imports(path: Path, *, top_only: bool = False) -> set[str]:
    """The packages outside of this one that a file imports; `top_only`: when it is imported itself."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in tree.body if top_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found - {"temp_processors", "__future__"}


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_by("import temp_processors", *HEAVY, "numpy", "pydantic") == set()


def test_the_columns_of_a_trace_load_nothing_heavy() -> None:
    assert loaded_by("import temp_processors.trace.columns", *HEAVY, "numpy", "pyarrow") == set()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("softmax",),
        ("run", "--help"),
        ("softmax", "--out", "s.svg"),
        ("list", "policies"),
        ("list", "metrics"),
    ],
    ids=" ".join,
)
def test_light_commands(arguments: tuple[str, ...], tmp_path: Path) -> None:
    assert loaded_by(command(*arguments), *HEAVY, folder=tmp_path) == set()


@pytest.mark.parametrize(
    "arguments",
    [("score", "a.txt", "b.txt"), ("compare", "a.txt", "b.txt"), ("score", "--stream", "a.txt")],
    ids=" ".join,
)
def test_commands_on_texts_are_light(arguments: tuple[str, ...], tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("the quick brown fox\nthe lazy dog sleeps\n" * 4)
    assert loaded_by(command(*arguments), *HEAVY, folder=tmp_path) == set()


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two small runs."""
    folder = tmp_path_factory.mktemp("runs")
    make_run(folder / "one", samples=4, steps=2, name="one")
    shutil.copytree(folder / "one", folder / "two")
    return folder


@pytest.mark.parametrize("arguments", [("report", "one"), ("compare", "one", "two"), ("score", "one")], ids=" ".join)
def test_commands_on_runs_are_light(arguments: tuple[str, ...], two_runs: Path) -> None:
    assert loaded_by(command(*arguments), *HEAVY, folder=two_runs) == set()


def test_help_takes_a_fraction_of_importing_transformers(tmp_path: Path) -> None:
    """In processor time, so that other work on the machine does not count."""
    code = {"help": command("--help"), "transformers": "import transformers, torch"}
    spent = {name: processor_seconds(text, tmp_path) for name, text in code.items()}
    assert spent["help"] < spent["transformers"] / 5, spent


def processor_seconds(code: str, folder: Path) -> float:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport time\nprint('spent:', time.process_time())"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return float(done.stdout.rsplit("spent:", 1)[1])


DISTRIBUTIONS = {"yaml": "pyyaml"}
"""Where the name of the import is not that of the distribution."""


def test_every_imported_distribution_is_declared() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = text.split("[project.scripts]")[0]
    declared = {re.split(r"[<>=~\[]", entry)[0].lower() for entry in re.findall(r'^  "([^"]+)",', project, flags=re.M)}
    declared |= {re.split(r"[<>=~\[]", entry)[0] for entry in re.findall(r'^\w+ = \["([^"]+)"\]', project, flags=re.M)}
    imported = {name for path in FILES.values() for name in top_imports(path)} - set(sys.stdlib_module_names)
    wanted = {DISTRIBUTIONS.get(name, name).lower() for name in imported} - {
        "vllm",
        "sglang",
        "llama_cpp",
        "mlx",
        "mlx_lm",
    }  # in environments of their own
    assert {name.replace("_", "-") for name in wanted} <= {name.replace("_", "-") for name in declared}


def test_every_declared_distribution_is_pinned() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("[project.scripts]")[0]
    declared = re.findall(r'^(?:  |\w+ = \[)"([\w-]+)[<>=]', text.split("dependencies = [", 1)[1], flags=re.M)
    pinned = re.findall(r"^([\w-]+)==", (ROOT / "constraints.txt").read_text(encoding="utf-8"), flags=re.M)
    assert pinned == declared
