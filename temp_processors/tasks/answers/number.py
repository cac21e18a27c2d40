"""The number that a text gives: the last one, or the one in the last \\boxed{}.

Read are: signs, thousands (1,000 and 1'000, with thin or no-break spaces, 1{,}000 in LaTeX, 1,00,000), decimals (.5 too),
fractions (3/4, 1 1/2, ½, \\frac{3}{4}), percent, currency, powers (10^6, 10⁶), 1e-3, 3.2 x 10^5, and `million` and its like. Not read,
because that would be another number: digits inside words (B2B, COVID-19), exponents (m^2), dotted chains (1.2.3), dates (1/2/2024),
2\\sqrt{3}, 2π, 0x1F.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Literal

import regex

from temp_processors.tasks.answers.base import Answer, Extractor
from temp_processors.tasks.answers.boxed import last_boxed

VULGAR = dict(
    zip(
        "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞",
        ["1/2", "1/3", "2/3", "1/4", "3/4", "1/5", "2/5", "3/5", "4/5", "1/6", "5/6", "1/8", "3/8", "5/8", "7/8"],
        strict=True,
    )
)
SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
SCALES = {"thousand": 3, "million": 6, "billion": 9, "trillion": 12, "k": 3, "m": 6, "mn": 6, "bn": 9, "b": 9, "tn": 12}
LARGEST_POWER = 400
"""Powers of ten beyond this are not read: no task asks for them, and they cost memory."""
LONGEST = 400
"""Digits of one number."""

COMMA = r",|\{,\}"
SPACED = r"[1-9][0-9]{0,2}(?:[ ][0-9]{3})*[ ]000(?![0-9])|[1-9][0-9]{0,2}(?:[ ][0-9]{3}){2,}(?![0-9])"
"""Thousands with plain spaces: read where they cannot be two numbers (`3 200-dollar bills`)."""
GROUPED = r"[0-9]{1,3}(?P<s>SIGN|\\,|['’\u00a0\u2009\u202f_])[0-9]{3}(?:(?P=s)[0-9]{3})*(?![0-9])"
INDIAN = r"[0-9]{1,3}(?:,[0-9]{2})+,[0-9]{3}(?![0-9])"

DIGITS = {
    ".": rf"(?:{SPACED}|{GROUPED.replace('SIGN', COMMA)}|{INDIAN}|[0-9]+)(?:\.[0-9]+)?|(?<![0-9A-Za-z.])\.[0-9]+",
    ",": rf"(?:{SPACED}|{GROUPED.replace('SIGN', '[.]')}|[0-9]+)(?:(?:{COMMA})[0-9]+)?|(?<![0-9A-Za-z,]),[0-9]+",
}
"""Digits with their thousands and decimals, by the decimal sign."""

PATTERN = r"""
    (?<skip>
        [0-9]+(?:(?:\.[0-9]+){2,}|(?:/[0-9]+){2,})   # 1.2.3, 1/2/2024
      | 0[xX][0-9a-fA-F]+
      | \\sqrt(?:\[[0-9]+\])?\{[^{}]*\}
      | (?<![A-Za-z_])[A-Za-z][A-Za-z_]*+(?:(?<=_)\{|\^\{?|[-–])?[0-9]+[0-9A-Za-z]*(?:\.[0-9]+)*  # B2B, x_1, m^2, COVID-19
    )
  | (?<sign>(?:(?<![0-9A-Za-z)\]}%])|(?<=\\\(|\\\[))[-−–+])?
    (?<money>\\?[$€£¥₹]|US\$)?(?<inner>(?<=[$€£¥₹])[-−–])?
    (?:
        \\[dt]?frac\s*(?:\{\s*(?<n>-?NUMBER)\s*\}\s*\{\s*(?<d>-?NUMBER)\s*\}|(?<n>[0-9])\s*(?<d>[0-9]))
      | (?<mixed>[0-9]+)?(?<vulgar>[VULGAR])
      | (?:(?<mixed>[0-9]{1,6})[ \u00a0]+(?=[0-9]{1,6}[/⁄][0-9]))?(?<n>NUMBER)(?:\s?[/⁄]\s?)(?<d>NUMBER)(?![0-9/⁄])
      | (?<plain>NUMBER)
        (?:[eE](?<e>[-+]?[0-9]{1,4})(?![0-9A-Za-z]))?
        (?:\s*(?:[x×*·]|\\times|\\cdot)\s*10
            (?:\^\{?(?<e>[-+−]?[0-9]{1,4})\}?|\*\*(?<e>[-+]?[0-9]{1,4})|(?<e>[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)))?
        (?:(?:\^\{?|\*\*(?=[0-9]))(?<power>[-−]?[0-9]{1,4})\}?|(?<power>[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+))?
    )
    (?<irrational>\s*(?:\\sqrt\s*(?:\{[^{}]*\})?|\\pi|π|√\s*[0-9]*))?
    (?:\s*(?<percent>\\?%|(?:percent|per\ cent)\b)
      | [ \u00a0-]?(?<scale>(?i:thousand|million|billion|trillion))\b
      | (?<short>(?i:k|m|mn|bn|b|tn))\b)?
"""


def _pattern(decimal: str) -> Any:
    text = PATTERN.replace("NUMBER", f"(?:{DIGITS[decimal]})").replace("[VULGAR]", f"[{''.join(VULGAR)}]")
    return regex.compile(text, regex.VERBOSE)


PATTERNS = {decimal: _pattern(decimal) for decimal in DIGITS}


class Number(Extractor):
    """The number that a text gives, exactly: `0.1` is one tenth, and equal numbers are equal answers.

    A \\boxed{} that holds a number comes before everything else.

    Args:
        take: The `first` or the `last` number.
        decimal: The decimal sign; with `,` a point separates thousands.
        percent: `as_written` reads 50 % as 50, `share` as 0.5.

    Example:
        >>> for text in ("So she pays $1,250.50.", "x = \\\\frac{3}{4}", "It is 12 (not 13)", "none"):
        ...     print(Number().extract(text))
        Answer(text='1250.5', reason=None, failed=False)
        Answer(text='0.75', reason=None, failed=False)
        Answer(text='13', reason=None, failed=False)
        Answer(text=None, reason='there is no number in the text', failed=False)
    """

    kind: Literal["number"] = "number"
    take: Literal["first", "last"] = "last"
    decimal: Literal[".", ","] = "."
    percent: Literal["as_written", "share"] = "as_written"

    def read(self, text: str) -> Answer:
        """The number in its shortest exact form: a decimal, or a fraction where no decimal ends."""
        boxed = last_boxed(text)
        for part in [*([boxed] if boxed is not None else []), text]:
            found = [
                value for match in PATTERNS[self.decimal].finditer(part) if (value := self._value(match)) is not None
            ]
            if found:
                return Answer(written(found[0 if self.take == "first" else -1]))
        return Answer(None, "there is no number in the text")

    def _value(self, match: Any) -> Fraction | None:
        if match["skip"] or match["irrational"]:
            return None
        value = self._magnitude(match)
        if value is None:
            return None
        if (match["sign"] or "") in ("-", "−", "–") or match["inner"]:
            value = -value
        if match["percent"] and self.percent == "share":
            value /= 100
        scale = match["scale"] or (match["short"] if match["money"] else None)
        return value * 10 ** SCALES[scale.lower()] if scale else value

    def _magnitude(self, match: Any) -> Fraction | None:
        whole = Fraction(int(match["mixed"] or 0))
        if match["vulgar"]:
            return whole + Fraction(VULGAR[match["vulgar"]])
        if match["n"]:
            above, below = self._plain(match["n"]), self._plain(match["d"])
            return whole + above / below if above is not None and below else None
        value = self._plain(match["plain"])
        if value is not None and match["e"]:
            value = _scaled(value, _exponent(match["e"]))
        if value is not None and match["power"]:
            value = _raised(value, _exponent(match["power"]))
        return value

    def _plain(self, digits: str) -> Fraction | None:
        kept = "".join(c for c in digits.replace("{,}", ",") if c in "0123456789-" or c == self.decimal)
        return Fraction(kept.replace(",", ".")) if len(kept) <= LONGEST else None


def _exponent(text: str) -> int:
    return int(text.translate(SUPERSCRIPT).replace("−", "-"))


def _scaled(value: Fraction, exponent: int) -> Fraction | None:
    return value * Fraction(10) ** exponent if abs(exponent) <= LARGEST_POWER else None


def _raised(value: Fraction, exponent: int) -> Fraction | None:
    size = abs(exponent) * max(len(str(value.numerator)), len(str(value.denominator)))
    return value**exponent if size <= LARGEST_POWER and (value or exponent > 0) else None


def written(value: Fraction) -> str:
    """The shortest exact text of a number.

    Example:
        >>> written(Fraction(5, 2)), written(Fraction(-1, 3)), written(Fraction(1000))
        ('2.5', '-1/3', '1000')
    """
    twos, fives, rest = _factors(value.denominator)
    if rest != 1:
        return f"{value.numerator}/{value.denominator}"
    places = max(twos, fives)
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    text = f"{digits[:-places]}.{digits[-places:]}" if places else digits
    return f"-{text}" if value < 0 else text


def _factors(number: int) -> tuple[int, int, int]:
    """How often 2 and 5 divide a number, and what is left."""
    counts = {2: 0, 5: 0}
    for prime in counts:
        while number % prime == 0:
            number //= prime
            counts[prime] += 1
    return counts[2], counts[5], number


def value_of(text: str) -> Fraction:
    """The number of an answer in the form of `written`."""
    return Fraction(text)
