"""What `generate()` will really apply to the scores, who asked for it, and what is wrong with it."""

from temp_processors.audit.audit import Audit as Audit
from temp_processors.audit.audit import audit as audit
from temp_processors.audit.audit import plain_sampling_kwargs as plain_sampling_kwargs
from temp_processors.audit.checkpoint import checkpoint_policy as checkpoint_policy
from temp_processors.audit.findings import Finding as Finding
from temp_processors.audit.stack import StackEntry as StackEntry
