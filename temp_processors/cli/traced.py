"""What `compare` shows from the traces of runs: entropy rate and expected perplexity, and scores at another temperature."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from temp_processors.cli.console import InertConsole
from temp_processors.cli.errors import refused, told
from temp_processors.inert import one_line


def show_traced(sources: Sequence[str]) -> None:
    """Print entropy rate and expected perplexity of the policies of every source that is a run with traces."""
    from temp_processors.comparison.traced import cross_entropies, read_traced
    from temp_processors.datafiles import RowsError
    from temp_processors.metrics.perplexity import perplexity
    from temp_processors.metrics.rao_blackwell import entropy_rate, expected_perplexity

    console = InertConsole()
    for source in sources:
        if not Path(source, "traces.parquet").is_file():
            continue
        try:
            traced = read_traced(Path(source))
        except RowsError as error:
            console.print(f"no scores from traces: {error}", style="dim", markup=False)
            continue
        table = _table(
            f"from the traces of {source}",
            "policy",
            "texts",
            "entropy rate (nats)",
            "expected perplexity",
            "perplexity of them",
        )
        for name, texts in traced.items():
            costs = cross_entropies(texts)
            expected = "-" if costs is None else f"{expected_perplexity(costs).value:.3g}"
            drawn = perplexity([text.log_prob.sum() for text in texts], [len(text.token_ids) for text in texts])
            rate = entropy_rate([text.entropy_after for text in texts])
            table.add_row(Text(one_line(name)), str(len(texts)), f"{rate.value:.3f}", expected, f"{drawn.value:.3g}")
        console.print(table)


def show_reweighted(sources: Sequence[str], at: float, metrics: Sequence[str] | None, tokenizer: str) -> None:
    """Print scores at a temperature that was not drawn, from every policy of the runs that has one fixed temperature."""
    from temp_processors.comparison.reweighting import DEFAULT, reweighted
    from temp_processors.comparison.scoring import tokenizer_named
    from temp_processors.comparison.sources import is_run

    console = InertConsole()
    for source in sources:
        if not is_run(source):
            raise refused(f"--at: {source} is no run folder, and only runs have traces to reweight")
        with told(ValueError):
            found = reweighted(Path(source), at, metrics or (), tokenizer=tokenizer_named(tokenizer))
        names = list(metrics or DEFAULT)
        table = _table(f"{source} at T = {at:g}, reweighted", "from", "texts", "effective", *names)
        for held in found:
            if held.scores:
                numbers = (f"{held.scores[name]:.3f}" for name in names)
                table.add_row(Text(one_line(held.policy)), str(held.texts), f"{held.effective:.1f}", *numbers)
        if table.row_count:
            console.print(table)
        for held in found:
            if held.refusal is not None:
                console.print(held.refusal, style="dim", markup=False)


def _table(title: str, *headings: str) -> Table:
    table = Table(title=Text(one_line(title)), title_justify="left", box=box.SIMPLE_HEAD, padding=0)
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place else "left", no_wrap=not place)
    return table
