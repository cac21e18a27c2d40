"""The policies on SGLang's own classes: its request, its batch of sampling values, and the call of processors by its sampler."""

from __future__ import annotations

import json
from array import array
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from temp_processors.serving.rows import PolicyError
from tests.serving.request_policies import COOLING, DYNAMIC, REQUEST_POLICIES
from tests.serving.test_serving import VOCAB, alone, row_of

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
pytest.importorskip("sglang", reason="SGLang is not in this environment")


def request_of(name: int, prompt: list[int], new: list[int], policy: Any, temperature: float = 1.0) -> Any:
    """A request as the scheduler makes it from what `fields_of` put into the client's request, with new tokens."""
    from sglang.srt.managers.schedule_batch import Req
    from sglang.srt.sampling.sampling_params import SamplingParams

    from temp_processors.sglang import fields_of

    fields = fields_of(policy) if policy is not None else {"custom_logit_processor": None, "custom_params": None}
    sampling = SamplingParams(max_new_tokens=8, temperature=temperature, custom_params=fields["custom_params"])
    request = Req(str(name), "", array("q", prompt), sampling, custom_logit_processor=fields["custom_logit_processor"])
    request.output_ids.extend(new)
    request.decode_batch_idx = len(new)
    return request


def after(requests: list[Any], scores: torch.Tensor) -> torch.Tensor:
    """What SGLang's sampler makes of the scores of these requests, before its own temperature."""
    from sglang.srt.layers.sampler import apply_custom_logit_processor
    from sglang.srt.sampling.custom_logit_processor import CustomLogitProcessor
    from sglang.srt.sampling.sampling_batch_info import ProcessorEntry

    by_text: dict[str, list[int]] = {}
    for row, request in enumerate(requests):
        if request.custom_logit_processor is not None:
            by_text.setdefault(request.custom_logit_processor, []).append(row)
    entries = {
        hash(text): ProcessorEntry(CustomLogitProcessor.from_str(text), rows, torch.tensor(rows))
        for text, rows in by_text.items()
    }

    class Batch(SimpleNamespace):
        def __len__(self) -> int:
            return len(requests)

    batch = Batch(
        custom_params=[request.sampling_params.custom_params for request in requests], custom_logit_processor=entries
    )
    scores = scores.clone()
    apply_custom_logit_processor(scores, batch)
    return scores


def test_a_mixed_batch_equals_each_request_alone() -> None:
    names = [*REQUEST_POLICIES]
    cases = [row_of(name, seed) for seed, name in enumerate(names)]
    requests = [request_of(row, prompt, new, spec) for row, (spec, prompt, new, _) in enumerate(cases)]
    requests.append(request_of(len(cases), [5, 7], [], None))
    scores = torch.stack([*(scores for *_, scores in cases), torch.randn(VOCAB)])
    result = after(requests, scores)
    torch.testing.assert_close(result[:-1], torch.stack([alone(*case) for case in cases]), rtol=1e-6, atol=1e-6)
    assert torch.equal(result[-1], scores[-1])
    assert len({request.custom_logit_processor for request in requests}) == 2  # the class by name, whatever the policy


def test_what_cannot_be_applied_is_an_abort_of_that_request() -> None:
    good, warm, behind = (request_of(row, [5], [7], COOLING, 1.0 + (row == 1)) for row in range(3))
    behind.decode_batch_idx += 1
    scores = torch.randn(3, VOCAB)
    result = after([good, warm, behind], scores)
    assert torch.equal(result[1:], scores[1:])
    assert good.to_finish is None
    assert "the two would multiply" in warm.to_finish.to_json()["message"]
    assert warm.to_finish.to_json()["status_code"] == 400
    assert "--disable-overlap-schedule" in behind.to_finish.to_json()["message"]


def test_a_bad_policy_is_refused_before_it_is_sent() -> None:
    from temp_processors.sglang import fields_of

    with pytest.raises(PolicyError, match="temperature: has to be a number >= 0"):
        fields_of({"kind": "fixed", "temperature": -1})
    sent = fields_of(DYNAMIC)
    assert json.loads(sent["custom_params"]["temperature_policy"]) == DYNAMIC
    assert len(sent["custom_logit_processor"]) < 500
