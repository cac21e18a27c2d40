"""Mutate configurations and `--set` values: each is accepted or refused in lines, with nothing else, within 2 s and 500 MB.

    python scripts/fuzz_config.py
    python scripts/fuzz_config.py --count 2000 --seed 7

A case is a function of its number and the seed, so that a failure prints all one needs to see it again. What is called is what
`temp-processors run CONFIG --set ... --dry-run` calls before it prints: `load_config`, and the size of the `Plan`.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

from temp_processors.config import ConfigError, load_config, shipped_configs
from temp_processors.config.prompts import PromptError
from temp_processors.experiment.plan import Plan

SECONDS = 2.0
MEGABYTES = 500.0
BOMB = "[&b0 [x, x], " + ", ".join(f"&b{level} [*b{level - 1}, *b{level - 1}]" for level in range(1, 23)) + "]"
ODD = [
    "{",
    "[",
    "]",
    "}",
    ",",
    ":",
    "-",
    "?",
    "!",
    "&",
    "*",
    "|",
    ">",
    "'",
    '"',
    "%",
    "@",
    "`",
    "#",
    "~",
    "\\",
    "=",
    "<<",
    "<<:",
    "!!int",
    "!!float",
    "!!bool",
    "!!null",
    "!!timestamp",
    "!!binary",
    "!!set",
    "!!omap",
    "!!pairs",
    "!!str",
    "!!map",
    "!!seq",
    "!!python/name:os.system",
    "&a",
    "*a",
    "*p",
    "---",
    "...",
    "null",
    "true",
    "0",
    "-1",
    "1e400",
    "1.0e+40",
    "1.0e-300",
    ".nan",
    ".inf",
    "-.inf",
    "0x1F",
    "017",
    "1:30:00",
    "2020-13-45",
    "2001-12-14t21:59:43.10-25:00",
    "{{x}}",
    "[a,*p]",
    '"\\ud800"',
    '"\\ud83d\\ude00"',
    '"\\0"',
    "²",
    "~/x",
    "~nobody/x",
    "kind",
    "policies",
    "name",
    "seed",
]
ODD += [
    "\n",
    "\n  ",
    "\t",
    " ",
    "\0",
    "\ufeff",
    "\u2028",
    "\x85",
    "🦊",
    "[" * 500,
    "- " * 300,
    "9" * 5000,
    "1:" * 500 + "1",
    BOMB,
]
PATHS = [
    "name",
    "model",
    "prompts",
    "prompts.0",
    "seed",
    "samples_per_prompt",
    "max_new_tokens",
    "batch_size",
    "policies",
    "policies.0",
    "policies.1.kind",
    "policies.0.temperature",
    "policies.9",
    "metrics",
    "baseline",
    "traces",
    "engine",
    "engine_options.retries",
    "out",
    "base_url",
    "a.b.c",
    "policies.²",
    "0",
    ".",
]


def mutated(text: str, chance: random.Random) -> str:
    """`text` after one to four edits: pieces dropped, doubled or swapped, odd tokens put in or in place of a value."""
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(text) + 1)
        end = min(len(text), start + chance.choice((1, 2, 5, 20, 80)))
        odd = chance.choice(ODD)
        lines = text.split("\n")
        line = chance.randrange(len(lines))
        key, colon, _ = lines[line].partition(": ")
        lines[line] = f"{key}{colon or ' '}{odd}"
        text = chance.choice(
            (
                text[:start] + text[end:],
                text[:end] + text[start:],
                text[:start] + odd + text[start:],
                text[:start] + odd + text[end:],
                text[:start] + text[start:end][::-1] + text[end:],
                "\n".join(lines),
                "\n".join(lines),
            )
        )
    return text


def case(number: int, seed: int, bases: list[str]) -> tuple[str, list[str]]:
    """The text and the overrides of one case."""
    chance = random.Random(f"{seed}/{number}")
    text, settings = chance.choice(bases), list[str]()
    kind = chance.random()
    if kind < 0.75:
        text = mutated(text, chance)
    if kind > 0.6:
        value = mutated(chance.choice(ODD), chance)
        settings.append(f"{chance.choice(PATHS)}={value}" if chance.random() < 0.9 else value)
    return text, settings


def fault(path: Path, settings: list[str]) -> str | None:
    """What went wrong beside a refusal in lines; None where nothing did."""
    start = time.process_time()  # not the clock on the wall: other work on the machine is no fault
    try:
        str(Plan(load_config(path, settings)))
    except (ConfigError, PromptError) as error:
        if not all(line.isprintable() for line in str(error).split("\n")):
            return f"a line that cannot be printed: {error!r}"
    except BaseException as error:  # a fuzzer's business: whatever else comes out is what it looks for
        if isinstance(error, KeyboardInterrupt):
            raise
        return f"{type(error).__name__}: {str(error)[:200]}"
    taken = time.process_time() - start
    return f"took {taken:.1f} s" if taken > SECONDS else None


def peak() -> float:
    """Most memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fuzz(count: int, seed: int, show: bool = True) -> list[str]:
    """The faults of the cases 0 to `count`, each with its number."""
    bases = [path.read_text(encoding="utf-8") for path in sorted(shipped_configs().glob("*.yaml"))]
    found: list[str] = []
    before = peak()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.yaml"
        for number in range(count):
            text, settings = case(number, seed, bases)
            path.write_bytes(text.encode("utf-8", "surrogatepass"))
            wrong = fault(path, settings)
            if wrong is None and peak() - before > MEGABYTES:
                wrong, before = f"took {peak() - before:.0f} MB", peak()
            if wrong is not None:
                found.append(f"case {number}, seed {seed}: {wrong}\n  --set {settings!r}\n  {text!r}"[:1500])
                if show:
                    print(found[-1], flush=True)
    return found


def main() -> int:
    """The command: 1 where anything was found."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--count", type=int, default=20_000)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    found = fuzz(given.count, given.seed)
    print(f"{given.count:,} configurations, seed {given.seed}: {len(found)} faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
