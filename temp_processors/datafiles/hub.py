"""One question to the Hub, so that a name that does not exist, or a machine without network, is told once and in seconds."""

from __future__ import annotations

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, RepositoryNotFoundError
from huggingface_hub.hf_api import ModelInfo

SECONDS = 10.0
"""Time for the Hub's answer to whether it has a model."""

UNREACHABLE: tuple[type[Exception], ...] = (OfflineModeIsEnabled, HfHubHTTPError.__mro__[1], OSError)
"""What means that the Hub did not answer: also `HTTPError` of the HTTP library that huggingface_hub is built on (httpx, later httpx2)."""


def model_info(name: str, revision: str | None = None) -> ModelInfo:
    """What the Hub says of a model, asked once.

    Raises:
        HFValidationError: A ValueError; the name is none that a model can have.
        RepositoryNotFoundError, RevisionNotFoundError: OSErrors; there is no such model for this user, or no such revision.
        Others of `UNREACHABLE`: No answer.
    """
    return HfApi().model_info(name, revision=revision, timeout=SECONDS)


def only_in_cache(name: str) -> bool:
    """Whether a model has to be read from the cache of this machine, if it is there, because the Hub does not answer.

    Raises:
        ValueError, OSError: The Hub answers that it has none of that name.
    """
    try:
        model_info(name)
    except (HFValidationError, RepositoryNotFoundError):
        raise
    except UNREACHABLE:
        return True
    return False
