"""The sequence-level temperature, p(text)^alpha / Z, as data: a way of decoding, which no processor of one step can be."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, TypeAlias

from pydantic import Field, model_validator
from torch import Tensor

from temp_processors.policies.checks import AtLeastOne, Positive
from temp_processors.policies.kinds import KINDS, BasePolicy
from temp_processors.policies.mistakes import POWER

PARTICLES, STEPS, BLOCKS = 32, 10, 16
"""Particles of `smc`, moves after every block of `mh`, and how many blocks a text of full length has."""


class PowerPolicy(BasePolicy):
    """Draw whole texts from p(text)^alpha / Z, with p the model's probability of a text: alpha = 1 / T of the sequence.

    Token temperature is something else: softmax(l / T) at every step leaves out what each token does to the chances of
    the futures, the factor sum over futures of p(future)^alpha. So this is no logits processor: it stands in the policies of an
    experiment with `engine: transformers`, and in the `custom_generate` recipe.

    Args:
        alpha: Above 1 favours probable texts, below 1 flattens; 1 is the model itself.
        method: `smc`: weighted particles, see engines/decoding/power/smc.py; `mh`: moves of a Markov chain, see mh.py there.
        particles: For `smc`: particles a text; 32 where it is not given. The law of the texts has an error of order 1 / particles.
        ramp: For `smc`: tokens over which the exponent comes from 1 to `alpha`; an eighth of `max_new_tokens` where it is
            not given. It decides about the cost and the weights, not about the target.
        steps: For `mh`: moves after every block; 10 where it is not given. The error falls with every move.
        block: For `mh`: tokens by which the texts grow; a sixteenth of `max_new_tokens` where it is not given.

    Sources: arXiv 2602.10273 (`smc`), arXiv 2510.14901 (`mh`).

    Example:
        >>> policy = PowerPolicy(alpha=4)
        >>> policy.method, policy.setting("particles", max_new_tokens=48), policy.setting("ramp", max_new_tokens=48)
        ('smc', 32, 6)
    """

    kind: Literal["power"] = "power"
    alpha: Positive
    method: Literal["smc", "mh"] = "smc"
    particles: AtLeastOne | None = None
    ramp: AtLeastOne | None = None
    steps: AtLeastOne | None = None
    block: AtLeastOne | None = None

    @model_validator(mode="after")
    def _is_built(self) -> PowerPolicy:
        """Refuse what the other method would take: it would change nothing here."""
        others = {"smc": ("steps", "block"), "mh": ("particles", "ramp")}
        given = [name for name in others[self.method] if getattr(self, name) is not None]
        if given:
            other = "mh" if self.method == "smc" else "smc"
            raise ValueError(f"`{given[0]}` is for `method: {other}`, but method is {self.method!r}")
        return self

    @property
    def per_row(self) -> bool:
        """False: a text depends on its seed alone."""
        return False

    def setting(self, name: Literal["particles", "ramp", "steps", "block"], *, max_new_tokens: int) -> int:
        """A parameter of the method with its default for texts of this length."""
        given: int | None = getattr(self, name)
        shares = {"ramp": 8, "block": BLOCKS}
        default = (
            -(-max_new_tokens // shares[name]) if name in shares else {"particles": PARTICLES, "steps": STEPS}[name]
        )
        return default if given is None else given

    def build(self, *, prompt_length: int | Tensor = 0, tokenizer: Any = None) -> NoReturn:
        """There is no processor of it: always ValueError."""
        raise ValueError(POWER)

    def check(self, tokenizer: Any) -> None:
        """It names no tokens."""


DECODINGS: dict[str, type[BasePolicy]] = {"power": PowerPolicy}
"""Kinds that stand alone in the policies of an experiment: ways of decoding whole texts."""

if TYPE_CHECKING:
    ExperimentPolicy: TypeAlias = BasePolicy
else:
    ExperimentPolicy = Annotated[reduce(or_, [*KINDS.values(), *DECODINGS.values()]), Field(discriminator="kind")]
