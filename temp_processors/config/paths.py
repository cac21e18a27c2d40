"""Paths, and names that may be paths, in a configuration: `~` is the home folder, as it is in a shell."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import AfterValidator

from temp_processors.datafiles import expanded

PathText: TypeAlias = Annotated[str, AfterValidator(expanded)]
"""A path with the home folder written out; a Hub id stays as it is."""
