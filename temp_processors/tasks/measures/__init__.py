"""What scored samples say of a policy: one definition a file, its formula, choices and source on top, exact.

The input is a plain table (`table.py`): one row a prompt, each a list of `Outcome(score, answer, ...)`, where `score` is in [0, 1] or None
with a `reason`, and `answer` is any hashable value that is equal for equal answers, None where there is none.
Measures of a prompt take a row:

    >>> from temp_processors.tasks.measures import Outcome, majority_at_k, pass_at_k
    >>> row = [Outcome(1, "12"), Outcome(1, "12"), Outcome(0, "7"), Outcome(None, reason="timed out")]
    >>> pass_at_k(row, 2), majority_at_k(row, 3)
    (1.0, 1.0)

The value of a policy is the mean over its prompts; `at_every_k` gives them all for k = 1, 2, 4, 8, ... and the most that every prompt has.
`PromptMean` gives the interval of such a mean and `paired_difference` that of a difference on the same prompts.
"""

from temp_processors.tasks.measures.agreement import agreement as agreement
from temp_processors.tasks.measures.at_every_k import at_every_k as at_every_k
from temp_processors.tasks.measures.best_of_k import best_of_k as best_of_k
from temp_processors.tasks.measures.calibration import Forecast as Forecast
from temp_processors.tasks.measures.calibration import auroc as auroc
from temp_processors.tasks.measures.calibration import brier_score as brier_score
from temp_processors.tasks.measures.calibration import calibration_error as calibration_error
from temp_processors.tasks.measures.calibration import forecast_of as forecast_of
from temp_processors.tasks.measures.calibration import forecasts_of as forecasts_of
from temp_processors.tasks.measures.calibration import reliability_curve as reliability_curve
from temp_processors.tasks.measures.cost import cut_share as cut_share
from temp_processors.tasks.measures.cost import tokens_per_solved as tokens_per_solved
from temp_processors.tasks.measures.cost import tokens_per_text as tokens_per_text
from temp_processors.tasks.measures.mean_score import mean_score as mean_score
from temp_processors.tasks.measures.pass_at_k import pass_at_k as pass_at_k
from temp_processors.tasks.measures.pass_hat_k import pass_hat_k as pass_hat_k
from temp_processors.tasks.measures.pooled import pooled as pooled
from temp_processors.tasks.measures.prompt_interval import PromptMean as PromptMean
from temp_processors.tasks.measures.prompt_interval import paired_difference as paired_difference
from temp_processors.tasks.measures.solved_only import SolvedOnly as SolvedOnly
from temp_processors.tasks.measures.solved_only import solved_only as solved_only
from temp_processors.tasks.measures.table import Outcome as Outcome
from temp_processors.tasks.measures.table import Row as Row
from temp_processors.tasks.measures.table import Table as Table
from temp_processors.tasks.measures.table import check_table as check_table
from temp_processors.tasks.measures.table import ks_up_to as ks_up_to
from temp_processors.tasks.measures.table import largest_k as largest_k
from temp_processors.tasks.measures.vote import majority_at_k as majority_at_k
from temp_processors.tasks.measures.vote import weighted_vote_at_k as weighted_vote_at_k
