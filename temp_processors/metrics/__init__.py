"""Diversity and quality scores of texts, each with a signature that names every choice behind its value.

Nothing here knows of generation: scores take lists of strings, of tokens or of numbers, and numpy computes them. `catalogue.py` lists them.
"""

from __future__ import annotations

from temp_processors.metrics.catalogue import CATALOGUE as CATALOGUE
from temp_processors.metrics.catalogue import METRIC_NAMES as METRIC_NAMES
from temp_processors.metrics.catalogue import STREAMED as STREAMED
from temp_processors.metrics.catalogue import Metric as Metric
from temp_processors.metrics.catalogue import metric_by_name as metric_by_name
from temp_processors.metrics.catalogue import metric_record as metric_record
from temp_processors.metrics.catalogue import stream_needs as stream_needs
from temp_processors.metrics.compression_ratio import compression_ratio as compression_ratio
from temp_processors.metrics.cross_repetition import cross_repetition as cross_repetition
from temp_processors.metrics.distinct_n import distinct_n as distinct_n
from temp_processors.metrics.duplicates import unique_share as unique_share
from temp_processors.metrics.expectation_adjusted_distinct import (
    expectation_adjusted_distinct as expectation_adjusted_distinct,
)
from temp_processors.metrics.length import mean_length as mean_length
from temp_processors.metrics.lexical import hdd as hdd
from temp_processors.metrics.lexical import mtld as mtld
from temp_processors.metrics.mean_entropy import mean_entropy as mean_entropy
from temp_processors.metrics.pairwise_bleu import pairwise_bleu as pairwise_bleu
from temp_processors.metrics.perplexity import perplexity as perplexity
from temp_processors.metrics.rao_blackwell import entropy_rate as entropy_rate
from temp_processors.metrics.rao_blackwell import expected_perplexity as expected_perplexity
from temp_processors.metrics.rarefaction import rarefied_distinct_n as rarefied_distinct_n
from temp_processors.metrics.repetition import seq_rep_n as seq_rep_n
from temp_processors.metrics.score import Score as Score
from temp_processors.metrics.self_bleu import self_bleu as self_bleu
from temp_processors.metrics.semantic import mean_pairwise_distance as mean_pairwise_distance
from temp_processors.metrics.semantic import vendi_score as vendi_score
from temp_processors.metrics.streaming import Needs as Needs
from temp_processors.metrics.streaming import StreamedTexts as StreamedTexts
from temp_processors.metrics.texts import TokenizedTexts as TokenizedTexts
from temp_processors.metrics.texts import matched as matched
from temp_processors.metrics.texts import paired as paired
from temp_processors.metrics.texts import tokenize as tokenize
from temp_processors.metrics.zipf_exponent import zipf_exponent as zipf_exponent
