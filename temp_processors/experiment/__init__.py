"""From a configuration to a run folder: plan, generate, store, score."""
