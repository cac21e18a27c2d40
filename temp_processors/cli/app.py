"""The console command `temp-processors`: its subcommands by name, each calls a function that Python callers use too.

Nothing here or in a command's file imports what only the command itself needs: `--help` answers without torch.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from temp_processors.cli.audit import audit_command
from temp_processors.cli.calibrate import calibrate_command
from temp_processors.cli.collector import collect_rarely
from temp_processors.cli.compare import compare_command
from temp_processors.cli.console import replace_what_cannot_be_written, say
from temp_processors.cli.errors import FAILED, USER_ERROR, told_of
from temp_processors.cli.eval import eval_command
from temp_processors.cli.explore import explore_command
from temp_processors.cli.export import export_command
from temp_processors.cli.import_fields import import_command
from temp_processors.cli.init import init_command
from temp_processors.cli.list import list_command
from temp_processors.cli.plan import plan_command
from temp_processors.cli.report import report_command
from temp_processors.cli.run import run_command
from temp_processors.cli.schema import schema_command
from temp_processors.cli.score import score_command
from temp_processors.cli.softmax import softmax_command
from temp_processors.cli.tune import tune_command
from temp_processors.version import __version__

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
app.command("run")(run_command)
app.command("init")(init_command)
app.command("tune")(tune_command)
app.command("plan")(plan_command)
app.command("calibrate")(calibrate_command)
app.command("audit")(audit_command)
app.command("list")(list_command)
app.command("schema")(schema_command)
app.command("export")(export_command)
app.command("import")(import_command)
app.command("report")(report_command)
app.command("softmax")(softmax_command)
app.command("explore")(explore_command)
app.command("score")(score_command)
app.command("compare")(compare_command)
app.command("eval")(eval_command)


@app.callback(invoke_without_command=True)
def about(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Temperature for Hugging Face generation: run experiments and score what they generate."""
    if version:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Entry point of the console command."""
    replace_what_cannot_be_written()
    collect_rarely()
    try:
        app()
    except OSError as error:
        # Of a place that only the system knows to be none: a name too long, a folder that may not be entered.
        say(told_of(error), error=True)
        sys.exit(USER_ERROR if error.filename is not None else FAILED)
