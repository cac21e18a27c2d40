"""Policies inside the programs of others, where a hook of theirs is not enough: trainers.

One module for each program, which alone imports it; `rollout.py`, `scoring.py` and `control.py` know none. Nothing is imported
here, so that what a module needs is needed for that module only.
"""
