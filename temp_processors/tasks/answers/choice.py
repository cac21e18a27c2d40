"""The letter of a multiple-choice answer, A to J, however it is put.

Looked for in this order: a \\boxed{} letter, the last `answer is (C)` or its like, a text that begins with the letter (`C. Paris`),
a line that is nothing but the letter, the last `option C`, the last letter in brackets or bold, the last capital that stands alone (the
article A and the pronoun I left out).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Any, Literal

import regex
from pydantic import AfterValidator

from temp_processors.tasks.answers.base import Answer, Extractor
from temp_processors.tasks.answers.boxed import last_boxed

ALL = "ABCDEFGHIJ"

MARKS = r"[*_`'\"“”$\s]*"
"""What may stand around a letter: Markdown, quotes, spaces."""

SAID = r"""
    \b (?: (?i:answer|solution)s?\b (?:\s+(?:choice|option|letter)\b)? | (?i:choice|option)\b )
    (?:\s+(?:to|for)\s+(?:the|this|that)\s+\w+)?
    [*_`"\s]* (?: \s+(?:is|was|(?:would|should|must|will)\ be)\b
      | \s*[:=→]+ | \s*-+> | (?<=(?i:answer)[*_`"\s]*)\s )
    (?:\s*(?:therefore|thus|then|clearly|probably|most\ likely|definitely|actually|simply|indeed)\b,?)? \s*:?
    (?:\s*(?:the\s+)?(?:answer|option|choice|letter)\b:?)?
    (?<letter>BARE)
  | \b(?:choose|chose|pick|picked|select|selected|go\s+with|going\s+with)\b (?:\s+(?:the\s+)?(?:answer|option|choice|letter)\b)? :?
    (?<letter>BARE)
  | (?<![A-Za-z])(?<letter>[LETTERS])\)?[*_`]*\s+(?:is|would\s+be)\s+
    (?:the\s+)?(?:most\s+likely\s+|only\s+)?(?:correct|right|true|best|answer)\b
"""

BARE = r"""MARKS (?:\\text\{|\\mathrm\{|\\textbf\{)? [(\[{<]? MARKS
    (?: [LETTERS] (?! [A-Za-z0-9] | ['’][a-z] | [ ]a?n?[ ]?don | \s+(?:am|don|do|can|cannot|think|have|would|will|believe|guess)\b )
      | [letters] (?= [*_`'"]* (?: [)\]}>.,;:!?] | \s*$ ) ) (?! \.[a-z] | ['’][a-z] ) )"""

SEVERAL = r"""\G [)\]}*_`'"\s.]*
    (?: (?:and|or|&|/)[\s*_`('\["]* (?:[LETTERS]|[letters](?=[).\]\s]*$))(?![A-Za-z])
      | ,[\s*_`(]*[LETTERS](?=[)*_`\s]*(?:$|[.,;\n]|and\b|or\b)) )"""


BEGIN = r"""
    \A [\s*_`#>"'“]*+ (?:(?i:option|choice|answer)\s*:?\s*)? [*_`]*+
    (?: [(\[{] (?<letter>[LETTERS]|[letters]) [)\]}]
      | (?<letter>[LETTERS]|[letters]) (?= [*_`"'”]* (?: [).\]:,;] (?!\w) | \s+[-–—]\s | \s*$ ) ) )
    (?! [*_`)\]}.,:]* \s+ (?:is|was|are|would|can|cannot|does|seems|looks)\b )
"""

FORMS = {
    "said": SAID,
    "begin": BEGIN,
    "line": r"^[\s*_`>\#(\[]*(?<letter>[LETTERS])[)\].*_`\s]*$",
    "option": r"\b(?i:option|choice|letter)\s+[*_`(\[]*(?<letter>[LETTERS])(?![A-Za-z0-9'’])",
    "marked": r"[(\[](?<letter>[LETTERS]|[letters])[)\]]|[*_]{2}\(?(?<letter>[LETTERS])[).:]?[*_]{2}",
    "alone": r"(?<![A-Za-z0-9'’&/-])(?<letter>[LETTERS])(?![A-Za-z0-9'’&+\#-])(?!(?<=[AI])\s+(?!(?:and|or)\b)[a-z])",
    "several": SEVERAL,
}
"""In the order in which they are tried, and what shows that a letter is one of several."""


class Choice(Extractor):
    """The letter of the option that a text chooses; none where it chooses several.

    Args:
        letters: Those that there are, `ABCD` for four options.
        counts_from: Read a reference that is a number (or the text of one) as the place of the option, counted from here.

    Example:
        >>> for text in ("(c) Paris", "The answer is **B**, because A is a river.", "I think it is D", "A or B"):
        ...     print(Choice().extract(text).text)
        C
        B
        D
        None
    """

    kind: Literal["choice"] = "choice"
    letters: Annotated[str, AfterValidator(lambda text: _letters(text))] = ALL
    counts_from: Literal[0, 1] | None = None

    @cached_property
    def _patterns(self) -> dict[str, Any]:
        def compiled(text: str) -> Any:
            text = text.replace("BARE", BARE).replace("MARKS", MARKS)
            text = text.replace("[LETTERS]", f"[{self.letters}]").replace("[letters]", f"[{self.letters.lower()}]")
            return regex.compile(text, regex.VERBOSE | regex.MULTILINE)

        return {name: compiled(text) for name, text in FORMS.items()}

    def read(self, text: str) -> Answer:
        """The letter as a capital, or why there is none."""
        boxed = last_boxed(text)
        if boxed is not None and (found := self._in_box(boxed)):
            return Answer(found)
        for name in [form for form in FORMS if form != "several"]:
            if matches := list(self._patterns[name].finditer(text)):
                return self._one(matches if name == "alone" else matches[-1:], text)
        return Answer(None, f"no letter of {self.letters} is chosen in the text")

    def _in_box(self, content: str) -> str | None:
        inside = regex.sub(r"\\(?:text|mathrm|textbf|mathbf)\b|[{}()\s.*$]", "", content)
        return inside.upper() if len(inside) == 1 and inside.upper() in self.letters else None

    def _one(self, matches: Sequence[Any], text: str) -> Answer:
        """The last of the matches, unless one of them goes on to another letter (`A or B`)."""
        for match in matches:
            if (more := self._patterns["several"].match(text, match.end("letter"))) is not None:
                return Answer(None, f"the text chooses several: {match['letter'].strip()}{more[0]}")
        return Answer(next(c for c in reversed(matches[-1]["letter"].upper()) if c in self.letters))

    def reference(self, value: Any) -> Answer:
        """A letter, or the place of the option where `counts_from` says how places are counted."""
        text = str(value).strip()
        if self.counts_from is None or not text.isdecimal():
            found = super().reference(value)
            hint = "; for the places of options set `counts_from` of the answer to 0 or 1" if text.isdecimal() else ""
            return Answer(None, f"{found.reason}{hint}") if found.text is None else found
        place = int(text) - self.counts_from
        if not 0 <= place < len(self.letters):
            return Answer(None, f"there is no option {text} among {self.letters}, counted from {self.counts_from}")
        return Answer(self.letters[place])


def _letters(text: str) -> str:
    if not text or text != ALL[: len(text)]:
        raise ValueError(
            f"has to be the letters of the options in order, A to J at most, such as 'ABCD', but is {text!r}"
        )
    return text
