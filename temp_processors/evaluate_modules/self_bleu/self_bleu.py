"""self-BLEU as an `evaluate` measurement; the number is that of `temp_processors.metrics.self_bleu`."""

import datasets
import evaluate

from temp_processors.metrics import self_bleu

DESCRIPTION = """The mean over texts of BLEU-n with every other text as a reference (method1 smoothing, as in NLTK);
lower is more diverse."""

INPUTS = """
Args:
    data (list of str): The texts to compare, without their prompts.
    n (int): Largest n-gram order, 4 by default.
    tokenizer (str): auto (by script: characters for Chinese, Japanese, Thai..., else whitespace), whitespace, characters, 13a or intl.
Returns:
    self_bleu (float): The score; NaN where it is undefined.
    signature (str): Every choice behind the number.
    reason (str or None): Why the score is undefined.
"""

CITATION = """@inproceedings{zhu2018texygen,
  title = {Texygen: A Benchmarking Platform for Text Generation Models},
  author = {Zhu, Yaoming and Lu, Sidi and Zheng, Lei and Guo, Jiaxian and Zhang, Weinan and Wang, Jun and Yu, Yong},
  booktitle = {SIGIR},
  year = {2018}
}"""


class SelfBleu(evaluate.Measurement):
    """See the card beside this file."""

    def _info(self):
        return evaluate.MeasurementInfo(
            module_type="measurement",
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=INPUTS,
            features=datasets.Features({"data": datasets.Value("string")}),
        )

    def _compute(self, data, n=4, tokenizer="auto"):
        score = self_bleu(data, n=n, tokenizer=tokenizer)
        return {"self_bleu": score.value, "signature": score.signature, "reason": score.reason}
