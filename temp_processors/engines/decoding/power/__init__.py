"""Draw texts from p(text)^alpha / Z, the sequence-level temperature: particles (smc.py) or moves of a chain (mh.py)."""
