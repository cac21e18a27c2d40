"""Which differences between groups of texts are real: groups made comparable, scores, intervals, verdicts."""

from temp_processors.comparison.best import TaskVerdict as TaskVerdict
from temp_processors.comparison.best import task_verdict as task_verdict
from temp_processors.comparison.compare import compare_groups as compare_groups
from temp_processors.comparison.groups import Group as Group
from temp_processors.comparison.notes import length_notes as length_notes
from temp_processors.metrics.catalogue import better_direction as better_direction
