"""PyYAML's safe loader with bounds: whatever the text, it gives plain data or a `yaml.YAMLError`, in little time and memory.

PyYAML itself fails in ways that no caller expects: RecursionError for deep nesting, the constructors' own ValueError or
KeyError for a scalar that is not what its tag says, and gigabytes for a few aliases of aliases.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

import yaml
from yaml.composer import Composer, ComposerError
from yaml.constructor import ConstructorError, SafeConstructor
from yaml.parser import Parser, ParserError
from yaml.reader import Reader, ReaderError
from yaml.resolver import Resolver
from yaml.scanner import Scanner, ScannerError

DEEPEST = 32
"""Mappings and lists inside one another, aliases followed; a policy of policies of an experiment takes 3 levels each."""
MOST_VALUES = 100_000
"""Keys and values written in one text; a list of prompts longer than this belongs into a file of its own."""
MOST_ALIASED = 10_000
"""Keys and values that aliases add to those written: 22 levels of `[*a, *a]` would be four million."""
LONGEST_NUMBER = 100
"""Characters of one number; Python itself refuses to read or write whole numbers of more than 4,300 digits."""
LONGEST_TEXT = 10_000_000
"""Characters of one text."""
LONG_TEXT = 50_000
"""Characters from which libyaml's parser saves more time than it can cost."""
MERGE = "tag:yaml.org,2002:merge"
OCTAL = re.compile(r"[-+]?0[0-7_]+")
"""A whole number that YAML 1.1 reads in base 8; YAML 1.2 and Python write 0o10."""
FAILURES = (ValueError, KeyError, IndexError, AttributeError, TypeError, OverflowError)
"""What PyYAML's constructors raise for `2020-13-45`, `!!bool maybe`, `!!int ""`, `!!timestamp x` and their like."""


class MisreadError(ConstructorError):
    """A number that YAML 1.1 reads otherwise than a person does, who wrote a time or put a zero in front: `1:30` as 90, `010` as 8."""


class Bounded(Composer, SafeConstructor, Resolver):
    """What composes and constructs, in bounds: it raises nothing but `yaml.YAMLError`. A parser comes from a subclass."""

    def __init__(self) -> None:
        Composer.__init__(self)
        SafeConstructor.__init__(self)
        Resolver.__init__(self)
        self.own_keys: dict[int, int] = {}  # id of a mapping node -> how many of its keys are no merge key
        self._depth = self._written = self._aliased = 0
        self._sizes: dict[int, tuple[int, int]] = {}  # id of a finished node -> its values and levels, aliases followed

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """The next node; refused where it is too deep, one too many, or inside the anchor that it repeats."""
        is_alias, mark = self.check_event(yaml.AliasEvent), self.peek_event().start_mark  # type: ignore[attr-defined]
        self._depth += 1
        if self._depth > DEEPEST:
            raise ComposerError(None, None, f"more than {DEEPEST} levels of mappings and lists", mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if node is not None:
            (self._count_alias if is_alias else self._count)(node, mark)
        return node

    def _count(self, node: yaml.Node, mark: yaml.Mark) -> None:
        self._written += 1
        if self._written > MOST_VALUES:
            raise ComposerError(None, None, f"more than {MOST_VALUES:,} keys and values", mark)
        children = node.value if isinstance(node, yaml.SequenceNode) else []
        if isinstance(node, yaml.MappingNode):
            children = [part for pair in node.value for part in pair]
            self.own_keys[id(node)] = sum(key.tag != MERGE for key, _ in node.value)
        sizes = [self._sizes[id(child)] for child in children]
        self._sizes[id(node)] = 1 + sum(size for size, _ in sizes), 1 + max((deep for _, deep in sizes), default=0)

    def _count_alias(self, node: yaml.Node, mark: yaml.Mark) -> None:
        if id(node) not in self._sizes:
            raise ComposerError(None, None, "an alias stands inside the value that it repeats", mark)
        size, levels = self._sizes[id(node)]
        self._aliased += size
        if self._aliased > MOST_ALIASED:
            raise ComposerError(None, None, f"aliases repeat more than {MOST_ALIASED:,} keys and values", mark)
        if self._depth + levels > DEEPEST:
            raise ComposerError(None, None, f"more than {DEEPEST} levels of mappings and lists, by an alias", mark)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """The object of a node; what the constructor of its tag cannot read is a `ConstructorError` at its line."""
        try:
            return super().construct_object(node, deep)
        except FAILURES as error:
            kind = node.tag.rpartition(":")[2]
            message = f"{_shown(node)} reads as the YAML type `{kind}`, but is none: if it is text, put it in quotes"
            raise ConstructorError(None, None, message, node.start_mark) from error

    def construct_text(self, node: Any) -> Any:
        """Text; the pair of escapes that JSON writes for one character above U+FFFF (`\\ud83d\\ude00`) is that character."""
        text = self.construct_scalar(node)
        if not isinstance(text, str) or text.isascii():
            return text
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError as error:
            message = "holds half of a surrogate pair, which is no character"
            raise ConstructorError(None, None, message, node.start_mark) from error

    def construct_number(self, node: Any) -> Any:
        """A whole number or a float, of a length that can be shown and computed with, if a person reads the same number there."""
        text = str(self.construct_scalar(node))
        length = len(text)
        if length > LONGEST_NUMBER:
            message = (
                f"a number of {length:,} characters; at most {LONGEST_NUMBER} are read: if it is text, put it in quotes"
            )
            raise ConstructorError(None, None, message, node.start_mark)
        whole = node.tag.endswith(":int")
        number = self.construct_yaml_int(node) if whole else self.construct_yaml_float(node)
        if ":" in text:
            message = (
                f"{text} is {number} to YAML 1.1, in base 60: write {number} if that is meant, or '{text}' as a text"
            )
            raise MisreadError(None, None, message, node.start_mark)
        if whole and OCTAL.fullmatch(text) and number != (decimal := int(text.replace("_", ""))):
            message = f"{text} is {number} to YAML 1.1, in base 8: write {decimal} or {number}, or '{text}' as a text"
            raise MisreadError(None, None, message, node.start_mark)
        return number

    yaml_constructors: ClassVar[dict[str | None, Any]] = {
        **SafeConstructor.yaml_constructors,
        "tag:yaml.org,2002:str": construct_text,
        "tag:yaml.org,2002:int": construct_number,
        "tag:yaml.org,2002:float": construct_number,
    }


class BoundedLoader(Bounded, Reader, Scanner, Parser):
    """The safe loader of one text, with PyYAML's own parser, which reads all of YAML 1.1."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Bounded.__init__(self)


if yaml.__with_libyaml__:
    from yaml.cyaml import CParser  # type: ignore[attr-defined]

    class FastLoader(Bounded, CParser):
        """The same with libyaml's parser, about eight times as fast. It refuses some valid texts, JSON's escapes among them."""

        def __init__(self, text: str) -> None:
            CParser.__init__(self, text)
            Bounded.__init__(self)


def compose(text: str) -> tuple[Bounded, yaml.Node | None]:
    """The loader and the root node of a text: by libyaml where the text is long, and by PyYAML where that refuses it.

    Raises:
        yaml.YAMLError: The text is not YAML, or more than the bounds of this module.
    """
    if len(text) > LONGEST_TEXT:
        raise yaml.YAMLError(f"{len(text):,} characters; at most {LONGEST_TEXT:,} are read")
    if len(text) >= LONG_TEXT and yaml.__with_libyaml__:
        try:
            return _composed(FastLoader(text))
        except (ScannerError, ParserError, ReaderError):
            pass  # told by PyYAML below, or no error for it
    return _composed(BoundedLoader(text))


def _composed(loader: Bounded) -> tuple[Bounded, yaml.Node | None]:
    return loader, loader.get_single_node()


def _shown(node: yaml.Node) -> str:
    text = repr(node.value) if isinstance(node, yaml.ScalarNode) else "this"
    return text if len(text) <= 60 else text[:57] + "..."
