"""Choose a temperature: every policy, its parameters and the checks on them. Needs torch and transformers' base class alone."""
