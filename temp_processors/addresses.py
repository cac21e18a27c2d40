"""The address of a server, and texts without the keys that stand in addresses."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

HIDDEN = "***"
USER = re.compile(r"(?<=//)\S+(?=@)|(?<![^\s'\"=(])[^\s/@'\"=:]+:(?!//)\S+(?=@[\w\[])")
QUERY = re.compile(r"([?&][^=&\s]+=)[^&\s]*[^&\s'\",:;)\]]")
SUCH_AS = "such as http://localhost:8000/v1"


def redacted(text: str) -> str:
    """The text with the user, the password and the values of a query replaced in every address in it.

    Example:
        >>> redacted("--set base_url=https://me:secret@host/v1?key=abc&v=2")
        '--set base_url=https://***@host/v1?key=***&v=***'
    """
    return QUERY.sub(rf"\1{HIDDEN}", USER.sub(HIDDEN, text))


class Address(str):
    """An `http` or `https` address. As a text it is redacted, wherever it is shown or written; `full` is for the request alone.

    Example:
        >>> address = Address.parse("https://me:secret@host/v1/?key=abc")
        >>> print(address, address.full)
        https://***@host/v1/?key=*** https://me:secret@host/v1/?key=abc
    """

    __slots__ = ("full",)
    full: str

    @classmethod
    def parse(cls, text: str) -> Address:
        """The address of a text.

        Raises:
            ValueError: It is none; the message is redacted.
        """
        shown = repr(redacted(text))
        if not text.isprintable() or " " in text:
            raise ValueError(f"has to be an address without spaces, {SUCH_AS}, but is {shown}")
        try:
            parts = urlsplit(text)
            scheme, host, _ = parts.scheme, parts.hostname, parts.port
        except ValueError as error:
            raise ValueError(f"has to be an address {SUCH_AS}, but is {shown}: {redacted(str(error))}") from error
        if scheme not in ("http", "https") or not host:
            raise ValueError(f"has to begin with http:// or https:// and a host, {SUCH_AS}, but is {shown}")
        if parts.fragment:
            raise ValueError(f"has to be an address without #, {SUCH_AS}, but is {shown}")
        address = cls(redacted(text))
        address.full = text
        return address

    def at(self, path: str) -> str:
        """Where a request goes: the path behind that of the address, before its query, and nobody's name or password.

        Example:
            >>> Address.parse("https://me:secret@host/v1/?key=abc").at("/models")
            'https://host/v1/models?key=abc'
        """
        parts = urlsplit(self.full)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path.rstrip("/") + path, parts.query, ""))

    def without(self, end: str) -> Address:
        """The address without this end of its path.

        Example:
            >>> print(Address.parse("http://host:11434/v1/").without("/v1"))
            http://host:11434
        """
        parts = urlsplit(self.full)
        return Address.parse(urlunsplit(parts._replace(path=parts.path.rstrip("/").removesuffix(end))))

    def authorization(self, key: str | None) -> dict[str, str]:
        """The header that says who asks: the user and password of the address, else the key, else none."""
        if user := self._user:
            return {"Authorization": f"Basic {base64.b64encode(unquote(user).encode()).decode()}"}
        return {"Authorization": f"Bearer {key}"} if key else {}

    def without_keys(self, text: str, key: str | None = None) -> str:
        """What a server said, without the key and what stands in the address, should it repeat them."""
        user, query = self._user, urlsplit(self.full).query
        named = [part for whole in (user, unquote(user)) for part in (whole, *whole.split(":", 1))]
        held = {key or "", query, *named, *(value for _, value in parse_qsl(query))}
        for secret in sorted((secret for secret in held if len(secret) > 2), key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        return text

    @property
    def _user(self) -> str:
        return urlsplit(self.full).netloc.rpartition("@")[0]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A text that `parse` takes, or an address as it is."""
        from pydantic_core import core_schema  # here, because a check of an address alone needs no models

        def read(value: Any, text: Any) -> Address:
            return value if isinstance(value, Address) else cls.parse(text(value))

        return core_schema.no_info_wrap_validator_function(
            read, core_schema.str_schema(strict=True), serialization=core_schema.to_string_ser_schema()
        )
