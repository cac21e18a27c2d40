"""Continue many rows at once on a transformers model: batches, prefill, cache, the step."""
