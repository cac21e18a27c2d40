"""Models for inspect_ai that draw under a policy: `inspect eval task.py --model temp_processors/MODEL -M policy=...`.

The entry point `temp_processors` of the group `inspect_ai` imports this module; `MODEL` is `fox`, `smollm2`, a folder or a Hub id.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pydantic
import torch
from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    GenerateConfig,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    modelapi,
)

from temp_processors.config.one_policy import one_policy
from temp_processors.config.sections import ModelSpec
from temp_processors.custom_generate import row_seeds
from temp_processors.engines.continuation import StopTexts, continuation_text
from temp_processors.engines.engine import Decoded, DecodeRow, DrawOptions
from temp_processors.engines.local import LocalEngine
from temp_processors.policies.kinds import BasePolicy, build_policy, validated

LONGEST = 256
"""New tokens of a text where inspect_ai names no `max_tokens`."""
REFUSED = ("top_p", "top_k", "frequency_penalty", "presence_penalty", "logit_bias", "num_choices", "logprobs")
"""Generation settings that would act beside the policy, or that are not there."""


class PolicyModelAPI(ModelAPI):
    """A model of transformers in this process that draws every text under one policy.

    Args:
        model_name: `fox`, `smollm2`, a folder, a GGUF file, a Hub id.
        config: `seed` (0 by default) and the prompt make the seed of a text, `row_seeds` says how; the epochs of a sample are the first,
            second... text of its prompt. `max_tokens` and `stop_seqs` act; a temperature other than 1 and what else samples is refused.
        policy: `{kind: ..., ...}`, as YAML text or a mapping, or a file that holds it.
        chat: Whether prompts are chats by the model's template; by default where it has one. Else the messages are joined by lines.
        options: Of loading the model, as in the `model` of a configuration: `dtype`, `device_map`, `trust_remote_code`...

    Raises:
        ValueError: No policy, a mistake in it, no such model or option.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig | None = None,
        *,
        policy: str | Mapping[str, Any] | None = None,
        chat: bool | None = None,
        **options: Any,
    ) -> None:
        settings = GenerateConfig() if config is None else config
        super().__init__(model_name=model_name, base_url=base_url, api_key=api_key, config=settings)
        if policy is None:
            raise ValueError("-M policy=... has to name a policy, such as -M policy='{kind: fixed, temperature: 0.7}'")
        self.policy: BasePolicy = one_policy(policy) if isinstance(policy, str) else validated(dict(policy))
        try:
            spec = ModelSpec(name=model_name, **options)
        except pydantic.ValidationError as error:
            first = error.errors()[0]
            raise ValueError(f"-M {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
        self.engine = LocalEngine.of(spec)
        build_policy(self.policy, tokenizer=self.engine.tokenizer)  # tags that the tokenizer splits are refused here
        self.chat = self.engine.tokenizer.chat_template is not None if chat is None else chat
        self._seen = Counter[bytes]()
        self._one_at_a_time = asyncio.Lock()

    async def generate(
        self, input: list[ChatMessage], tools: Any, tool_choice: Any, config: GenerateConfig
    ) -> ModelOutput:
        """One text. Raises ValueError for settings that act beside the policy, and for tools."""
        _refuse(config, tools)
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._drawn, input, config)

    def max_connections(self) -> int:
        """One: texts are drawn one after the other."""
        return 1

    def max_tokens(self) -> int:
        """Of a text where the task names none."""
        return LONGEST

    def collapse_user_messages(self) -> bool:
        """Templates of chats want roles to alternate."""
        return True

    def _drawn(self, messages: Sequence[ChatMessage], config: GenerateConfig) -> ModelOutput:
        tokenizer = self.engine.tokenizer
        ids = self._prompt(messages)
        seed = row_seeds(config.seed or 0, torch.tensor([ids]), seen=self._seen)[0]
        stops = StopTexts(tokenizer, config.stop_seqs or ())
        options = DrawOptions(config.max_tokens or LONGEST, ends=stops.end if stops.stops else None)
        policies = [lambda length: build_policy(self.policy, prompt_length=length, tokenizer=tokenizer)]
        done = next(iter(self.engine.draw([DecodeRow(tuple(ids), 0, seed)], policies, options)))
        before = () if self.engine.model_config.is_encoder_decoder else ids
        text = stops.cut(continuation_text(tokenizer, before, done.token_ids))
        return self._output(text, len(ids), done, seed)

    def _prompt(self, messages: Sequence[ChatMessage]) -> list[int]:
        tokenizer = self.engine.tokenizer
        if self.chat:
            turns = [{"role": message.role, "content": message.text} for message in messages]
            text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
            return list(tokenizer(text, add_special_tokens=False)["input_ids"])
        return list(tokenizer("\n".join(message.text for message in messages))["input_ids"])

    def _output(self, text: str, prompt: int, done: Decoded, seed: int) -> ModelOutput:
        reason = "max_tokens" if done.finish_reason == "length" else "stop"
        message = ChatMessageAssistant(content=text, model=self.model_name, source="generate")
        return ModelOutput(
            model=self.model_name,
            choices=[ChatCompletionChoice(message=message, stop_reason=reason)],
            usage=ModelUsage(input_tokens=prompt, output_tokens=done.steps, total_tokens=prompt + done.steps),
            metadata={"policy": json.loads(self.policy.model_dump_json()), "seed": seed, "log_prob": done.log_prob},
        )


def _refuse(config: GenerateConfig, tools: Any) -> None:
    if tools:
        raise ValueError("temp_processors models call no tools")
    if config.temperature not in (None, 1.0):
        raise ValueError(f"temperature={config.temperature} would multiply with the policy: leave it out")
    for name in REFUSED:
        if getattr(config, name) is not None:
            raise ValueError(f"{name}={getattr(config, name)} is not taken: write it into the policy (`kind: chain`)")


@modelapi(name="temp_processors")  # type: ignore[untyped-decorator]
def temp_processors() -> type[ModelAPI]:
    """The provider that `--model temp_processors/MODEL` names."""
    return PolicyModelAPI
