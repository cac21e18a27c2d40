"""Whether a run folder can be written, found out before anything is drawn for it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from temp_processors.datafiles.errors import reason_of


def why_not_writable(folder: Path) -> str | None:
    """Why no files can be written into this folder, in the system's words; None where they can.

    What is missing of it is made inside a folder of its own that is deleted again: whether a name is too long, a disk read-only or a place
    no folder of files (`/proc`), the system alone knows.

    Args:
        folder: It need not be there, nor the folders above it.

    Example:
        >>> why_not_writable(tmp_path / "runs" / "new"), list(tmp_path.iterdir())
        (None, [])
        >>> why_not_writable(tmp_path / "runs" / ("x" * 300))
        'File name too long'
    """
    try:
        there = next(place for place in (folder, *folder.parents) if place.exists())
        with TemporaryDirectory(prefix=".trial-", dir=there, ignore_cleanup_errors=True) as trial:
            missing = Path(trial) / folder.relative_to(there)
            missing.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return reason_of(error)
    return None
