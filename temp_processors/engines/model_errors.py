"""What goes wrong while a model is found and read, told in one line that names the field, the package or the file."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError

if TYPE_CHECKING:
    from temp_processors.config.sections import ModelSpec

WOULD_WORK = "`fox` ships with the package and works offline, as does a folder that save_pretrained() wrote"

DAMAGED = (AttributeError, EOFError, LookupError, SafetensorError, TypeError, pickle.UnpicklingError, struct.error)
"""What readers raise, beside ValueError, for files that hold something else than they should: a list for a mapping, half of a tensor."""

UNABLE = (AssertionError, NotImplementedError, RuntimeError)
"""What torch raises for what this machine cannot do, AssertionError where it was built without CUDA."""

MODEL_CODE_FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What the code of a model may raise while it is run: where transformers' own is wrong, or its attention and past are not its own.

Every error of a program's own making is here, because any code can be behind `forward`; what comes from outside of it
(OSError, MemoryError, a signal) is not.
"""

IN_EXTRAS = {"gguf": "smollm2", "peft": "peft"}
"""Packages that an extra of this package brings, and its name."""

FLASH = {"flash_attention_2": "flash-attn", "flash_attention_3": "flash-attn-3", "flash_attention_4": "flash-attn-4"}
"""The distribution that an attention implementation needs, which transformers' message leaves out."""


class ModelError(ValueError):
    """The model of a configuration cannot be used; the message says why and what would work."""


@contextmanager
def loading(spec: ModelSpec) -> Iterator[None]:
    """What goes wrong while a checkpoint is read, as a `ModelError` that says what would do.

    Raises:
        ModelError: For every error of a reader, with its own words in brackets.
    """
    try:
        yield
    except ModelError:
        raise
    except ImportError as error:
        raise missing_package(spec, error) from error
    except (OSError, ValueError, *DAMAGED, *UNABLE) as error:
        raise ModelError(f"model: {_told(spec, error)}") from error


def missing_package(spec: ModelSpec, error: ImportError) -> ModelError:
    """The line for a package that is not installed."""
    reason, where = first_line(error), "model"
    if spec.attn_implementation in FLASH and "FlashAttention" in reason:
        where, reason = "model.attn_implementation", f"{reason} `pip install {FLASH[spec.attn_implementation]}`"
    elif spec.quantization_config is not None:
        where = "model.quantization_config"
    for package, extra in IN_EXTRAS.items():
        if package in reason.lower():
            reason = f"{package} is not installed: pip install 'temp_processors[{extra}]'"
    return ModelError(f"{where}: {spec.name!r} needs a package that is not here ({reason})")


def _told(spec: ModelSpec, error: Exception) -> str:
    reason = first_line(error)
    if isinstance(error, UNABLE):
        return f"{spec.name!r} cannot be loaded on this machine ({reason})"
    if not isinstance(error, OSError) and spec.quantization_config is not None:
        return f"{spec.name!r} cannot be loaded with this quantization_config ({reason})"
    if isinstance(error, DAMAGED):
        return f"{spec.name!r} has a file that cannot be read ({type(error).__name__}: {reason}); {WOULD_WORK}"
    folder = Path(spec.name).is_dir()
    where = "a folder without a usable model" if folder else "neither a folder nor a model that can be fetched"
    return f"{spec.name!r} is {where} ({reason}); {WOULD_WORK}"


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or the name of its class where it has none."""
    return next((line for line in str(error).strip().splitlines() if line.strip()), type(error).__name__)


def raised_by(error: BaseException) -> str:
    """The name of the module whose code raised an error, such as `transformers.models.xlm.modeling_xlm`."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else str(trace.tb_frame.f_globals.get("__name__", ""))


def not_one_of(field: str, value: str, allowed: list[str]) -> ModelError:
    """The line for a value that is not among those a field can have here, with the nearest one."""
    near = get_close_matches(value, allowed, 1)
    meant = f" (did you mean {near[0]!r}?)" if near else ""
    return ModelError(f"{field}: is {value!r}, but this machine has {', '.join(allowed)}{meant}")
