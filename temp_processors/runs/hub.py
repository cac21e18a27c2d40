"""Put a complete run on the Hugging Face Hub, as a dataset repository that `datasets.load_dataset` reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

from temp_processors.runs.folder import Run

# among the bases is the error of the HTTP client itself, whichever client this version of the library uses
NETWORK_ERRORS: tuple[type[Exception], ...] = (OSError, *HfHubHTTPError.__bases__)
CARD = """---
configs:
  - config_name: default
    data_files: samples.parquet
tags:
  - temperature
  - text-generation
---
# {name}

Texts drawn under several temperature policies with temp_processors, and their scores. `config.yaml` draws them again,
`report.html` shows them.

```python
from datasets import load_dataset

samples = load_dataset("{repo}", split="train")
```

{verdict}{table}
"""


class PushError(ValueError):
    """A run cannot be put on the Hub; the message says why and what would work."""


def refuse_push(repo: str) -> None:
    """Raise `PushError` for what can be known before anything is drawn: a bad name, no login."""
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise PushError(f"--push-to-hub: {repo!r} is not the name of a repository: {error}") from error
    if get_token() is None:
        raise PushError("--push-to-hub: nobody is logged in: run `hf auth login`, or set HF_TOKEN")


def push_run(run: Run, repo: str, api: Any = None, *, verdict: Sequence[str] = ()) -> str:
    """Upload the run folder, page included, to the dataset repository `repo`; a new one is private.

    Args:
        run: A complete run.
        repo: `USER/NAME` or `ORGANISATION/NAME`.
        api: A `huggingface_hub.HfApi`, for another endpoint or token.
        verdict: Sentences above the scores of the card, in words what they say.

    Returns:
        Where it is.

    Raises:
        PushError: The Hub refused it or cannot be reached; the run folder is as it was.
    """
    api = api or HfApi()
    try:
        url = api.create_repo(repo, repo_type="dataset", private=True, exist_ok=True)
        api.upload_folder(repo_id=repo, folder_path=str(run.path), repo_type="dataset", ignore_patterns=[".*"])
        card = card_of(run, repo, verdict).encode()
        api.upload_file(path_or_fileobj=card, path_in_repo="README.md", repo_id=repo, repo_type="dataset")
    except NETWORK_ERRORS as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise PushError(
            f"{repo}: cannot be uploaded: {reason}; the run in {run.path} is complete: "
            f"try again with `hf upload {repo} {run.path} --repo-type dataset`"
        ) from error
    return str(url)


def card_of(run: Run, repo: str, verdict: Sequence[str] = ()) -> str:
    """The front page of the repository: how to load the samples, the verdict, and the scores."""
    table = run.path / "comparison.md"
    scores = table.read_text(encoding="utf-8") if table.exists() else ""
    said = "## Verdict\n\n" + "".join(f"- {line}\n" for line in verdict) + "\n" if verdict else ""
    return CARD.format(name=Path(repo).name, repo=repo, verdict=said, table=scores)
