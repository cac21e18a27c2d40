"""Policies inside the programs of others: trainers, harnesses, and engines that call a function with the tokens and the scores of one text.

One module for each program, which alone imports it; `rollout.py`, `scoring.py`, `control.py` and `one_text.py` know none. Nothing is
imported here, so that what a module needs is needed for that module only.
"""
