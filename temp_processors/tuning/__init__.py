"""Choosing a setting with few texts: a race of policies on a task, and the turning point of the entropy, which needs no task.

`race.py` and `turning_point.py` take plain numbers and hold the decision; they know nothing of models.
"""
