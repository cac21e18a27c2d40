"""Policies inside engines that batch continuously: requests come, go and change rows, each with its own policy."""

from temp_processors.policies.positions import NO_TOKEN as NO_TOKEN
from temp_processors.serving.continuous import PolicyCarrier as PolicyCarrier
from temp_processors.serving.continuous import with_policy as with_policy
from temp_processors.serving.live import apply_live as apply_live
from temp_processors.serving.rows import KEY as KEY
from temp_processors.serving.rows import PolicyError as PolicyError
from temp_processors.serving.rows import PolicyRows as PolicyRows
from temp_processors.serving.rows import Request as Request
from temp_processors.serving.rows import evaluate as evaluate
from temp_processors.serving.rows import left_padded as left_padded
from temp_processors.serving.rows import policy_of_request as policy_of_request
from temp_processors.serving.slots import PolicySlots as PolicySlots
from temp_processors.serving.slots import SlotRows as SlotRows
