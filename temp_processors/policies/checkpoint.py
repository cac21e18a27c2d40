"""The sampling that a model's own generation_config asks for, as a policy to compare others with."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from temp_processors.policies.base import PolicyLogitsWarper
from temp_processors.policies.chain import ChainLogitsWarper
from temp_processors.policies.checks import checked

CHECKPOINT = "checkpoint"
"""The kind of this class in configuration files."""


class CheckpointLogitsWarper(ChainLogitsWarper):
    r"""
    [`PolicyLogitsWarper`] that is what `generate()` does when it is told nothing: `policy`, read from a generation_config.

    In a configuration `policy` is left out: a run fills it in from its model and writes it into `config.yaml`. Elsewhere
    `checkpoint_policy(model)` gives the data of the whole policy for `build_policy`.

    Args:
        policy (`PolicyLogitsWarper`): What the generation_config says: of kind `generate`, or greedy.
        prompt_length (*optional*): If given, handed on to `policy`; one per row if a tensor.

    Raises:
        ValueError: No `policy`: there is no model here to ask.

    Example:

    ```python
    >>> import torch
    >>> from temp_processors import build_policy, checkpoint_policy
    >>> from transformers import GenerationConfig

    >>> data = checkpoint_policy(GenerationConfig(do_sample=True, temperature=0.5, top_k=2))
    >>> data
    {'kind': 'checkpoint', 'policy': {'kind': 'generate', 'temperature': 0.5, 'top_k': 2}}
    >>> build_policy(data)(torch.tensor([[1]]), torch.tensor([[3.0, 2.0, 1.0]]))
    tensor([[6., 4., -inf]])

    ```
    """

    example: ClassVar[dict[str, Any]] = {}  # blank in a form: the model fills it in
    supports_continuous_batching = True  # if `policy` does

    @checked
    def __init__(self, policy: PolicyLogitsWarper | None = None, *, prompt_length: int | Tensor | None = None) -> None:
        if policy is None:
            raise ValueError(
                "`policy` is read from a model's generation_config, and there is no model here: "
                "write build_policy(checkpoint_policy(model))"
            )
        super().__init__([policy], prompt_length=prompt_length)
