"""distinct-n as an `evaluate` measurement; the number is that of `temp_processors.metrics.distinct_n`."""

import datasets
import evaluate

from temp_processors.metrics import distinct_n

DESCRIPTION = """The number of different n-grams divided by the number of n-grams, pooled over all texts; higher is more diverse."""

INPUTS = """
Args:
    data (list of str): The texts to compare, without their prompts.
    n (int): Length of the n-grams, 2 by default.
    tokenizer (str): auto (by script: characters for Chinese, Japanese, Thai..., else whitespace), whitespace, characters, 13a or intl.
Returns:
    distinct_n (float): The score; NaN where it is undefined.
    signature (str): Every choice behind the number.
    reason (str or None): Why the score is undefined.
"""

CITATION = """@inproceedings{li2016diversity,
  title = {A Diversity-Promoting Objective Function for Neural Conversation Models},
  author = {Li, Jiwei and Galley, Michel and Brockett, Chris and Gao, Jianfeng and Dolan, Bill},
  booktitle = {Proceedings of NAACL-HLT},
  year = {2016}
}"""


class DistinctN(evaluate.Measurement):
    """See the card beside this file."""

    def _info(self):
        return evaluate.MeasurementInfo(
            module_type="measurement",
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=INPUTS,
            features=datasets.Features({"data": datasets.Value("string")}),
        )

    def _compute(self, data, n=2, tokenizer="auto"):
        score = distinct_n(data, n=n, tokenizer=tokenizer)
        return {"distinct_n": score.value, "signature": score.signature, "reason": score.reason}
