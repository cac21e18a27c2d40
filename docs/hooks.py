"""What the pages of `docs/` take from the repository, so that no fact stands in two places.

A line `<!-- include: PATH -->` is the file PATH of the repository; `<!-- generated: cli -->` is the help of every command and
`<!-- generated: api -->` a line of mkdocstrings for every public name. Links to files of the repository are turned to the page
that includes them; to a file that no page includes there is no address, and its path is shown.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

import typer.main
from mkdocs.structure.files import File, Files

from temp_processors import PUBLIC
from temp_processors.cli.app import app

ROOT = Path(__file__).resolve().parents[1]
INCLUDE = re.compile(r"^<!-- include: (\S+) -->$", flags=re.M)
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#)([^)#\s]+)(#[^)\s]*)?\)")
PAGES = {
    included: page.relative_to(ROOT / "docs").as_posix()
    for page in sorted((ROOT / "docs").rglob("*.md"))
    for included in INCLUDE.findall(page.read_text(encoding="utf-8"))
}
"""File of the repository -> page that includes it."""


def on_files(files: Files, *, config: Any, **_: Any) -> Files:
    """The pictures of the scripts are files of the site too."""
    for picture in sorted((ROOT / "scripts" / "pictures").glob("*.png")):
        files.append(File.generated(config, f"pictures/{picture.name}", abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """The text of a page with what it includes."""
    folder = PurePosixPath("docs", page.file.src_uri).parent
    markdown = LINK.sub(lambda link: turned(link, folder, page.file.src_uri), markdown)
    markdown = INCLUDE.sub(lambda found: included(found[1], page.file.src_uri), markdown)
    return markdown.replace("<!-- generated: cli -->", commands()).replace("<!-- generated: api -->", names())


def included(path: str, page: str) -> str:
    """The file `path` of the repository, with its links as `page` has to write them."""
    return LINK.sub(
        lambda link: turned(link, PurePosixPath(path).parent, page), (ROOT / path).read_text(encoding="utf-8")
    )


def turned(link: re.Match[str], folder: PurePosixPath, page: str) -> str:
    mark, text, target, anchor = link.groups(default="")
    where = os.path.normpath(folder / target)
    if not (ROOT / where).exists():
        raise FileNotFoundError(f"{page}: a link to {target}, which is not there")
    to = where.removeprefix("docs/") if where.startswith("docs/") else PAGES.get(where)
    if where.startswith("scripts/pictures/"):
        to = where.removeprefix("scripts/")
    return f"`{where}`" if to is None else f"{mark}[{text}]({os.path.relpath(to, PurePosixPath(page).parent)}{anchor})"


def commands() -> str:
    """The help of every command."""
    group = typer.main.get_command(app)
    outer = typer.Context(group, info_name="temp-processors")
    parts = []
    for name in group.list_commands(outer):  # type: ignore[attr-defined]
        command = group.get_command(outer, name)  # type: ignore[attr-defined]
        inner = typer.Context(command, info_name=name, parent=outer, terminal_width=100, max_content_width=100)
        parts.append(f"## {name}\n\n```text\n{command.get_help(inner)}\n```\n")
    return "\n".join(parts)


def names() -> str:
    """One line of mkdocstrings for every public name, by the room that it is in."""
    rooms: dict[str, list[str]] = {}
    for name, module in PUBLIC.items():
        rooms.setdefault(module.split(".")[0], []).append(f"temp_processors.{module}.{name}")
    return "\n".join(
        f"## {room}\n\n" + "\n\n".join(f"::: {path}" for path in sorted(paths)) + "\n" for room, paths in rooms.items()
    )
