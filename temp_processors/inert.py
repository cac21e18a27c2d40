"""Texts of unknown origin made harmless for the place that shows them: one function for each place.

Names of policies, groups, files and metrics, texts of models and run folders come from anywhere. A terminal would act on their escape
sequences, a spreadsheet on `=`, LaTeX on `\\input`, a picture's path on `../`; every writer of this package puts them through here.
"""

from __future__ import annotations

import re

HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""Characters that show nothing or act on what stands around them: controls, direction marks, halves; not tab and line end."""
MARKDOWN = re.compile(r"[\\`*\[<|~$]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)|^[-+=#>]")
"""What Markdown or the HTML inside of it acts on; an underscore inside of a word is none."""
LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$", "≥": r"$\geq$", "≤": r"$\leq$", "∞": r"$\infty$",
    "↑": r"$\uparrow$", "↓": r"$\downarrow$", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "[": "{[}", "]": "{]}", "*": "{*}", "`": r"\textasciigrave{}",
}  # fmt: skip
"""What stands for a character that LaTeX would act on; `[` and `*` behind the `\\\\` of the row above would be its arguments."""
FORMULA = tuple("=+-@\t\r\n＝＋－＠")
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")


def lines(text: str) -> str:
    r"""`text` for a terminal: hidden characters as escapes; tabs and line feeds stay.

    Example:
        >>> print(lines("a\x1b[31mb\u202e"))
        a\x1b[31mb\u202e
    """
    return HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def one_line(text: str) -> str:
    r"""`text` on one line: hidden characters, tabs and line ends as escapes.

    Example:
        >>> print(one_line("base\n\\input{x}"))
        base\n\input{x}
    """
    return lines(text).replace("\n", r"\n").replace("\t", r"\t")


def shown(value: object) -> str:
    """The beginning of a value of the wrong type on one line, for an error.

    Example:
        >>> shown("fox"), len(shown("x" * 1000))
        ("'fox'", 80)
    """
    return one_line(repr(value)[:80])


def csv_cell(value: object) -> object:
    """A cell that no spreadsheet takes for a formula: a text that begins like one gets an apostrophe in front; numbers stay.

    Example:
        >>> csv_cell("=1+1"), csv_cell("cold"), csv_cell(-1.5)
        ("'=1+1", 'cold', -1.5)
    """
    if not isinstance(value, str):
        return value
    return f"'{lines(value)}" if value.lstrip(" ").startswith(FORMULA) else lines(value)


def markdown(text: str) -> str:
    r"""`text` as Markdown and HTML show it, on one line.

    Example:
        >>> print(markdown("<b>|top_p"))
        \<b>\|top_p
    """
    return MARKDOWN.sub(r"\\\g<0>", one_line(text))


def latex(text: str) -> str:
    r"""`text` as LaTeX sets it, on one line.

    Example:
        >>> print(latex("5 % of top_p"))
        5 \% of top\_p
    """
    return "".join(LATEX.get(letter, letter) for letter in one_line(text))


def figure_text(text: str) -> str:
    r"""`text` as matplotlib draws it: a dollar sign would start a formula, a control character is no XML.

    Example:
        >>> print(figure_text("a$b\x00"))
        a\$b\x00
    """
    return one_line(text).replace("$", r"\$")


def is_plain_name(name: str) -> bool:
    """Whether `name` can be a file's: letters, digits, `_` and `-`, at most 80 of them; no slash, no dot.

    Example:
        >>> is_plain_name("distinct_2"), is_plain_name("../../ESCAPED"), is_plain_name("/etc/x")
        (True, False, False)
    """
    return PLAIN_NAME.fullmatch(name) is not None
