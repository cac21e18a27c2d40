"""Python's garbage collector in a process of our own: what is imported stays, so it is not searched again and again.

Importing torch and transformers makes about a million objects, and the collector walks over those that are there each time that their
number has grown by a quarter, and twice more when the process ends: a fifth of the processor time of `run fox`. Only the console
command sets this, never the library: the settings hold for the whole process.
"""

from __future__ import annotations

import gc

THRESHOLDS = (50_000, 20, 50)
"""New objects before the youngest are searched (700 by Python's default), and how many such searches make one of the older ones."""


def collect_rarely() -> None:
    """Search for garbage less often. Objects that no cycle holds go at once, as ever."""
    gc.set_threshold(*THRESHOLDS)


def keep_what_is_imported() -> None:
    """Leave everything that is there by now out of later searches, the last ones of the process included."""
    gc.freeze()
