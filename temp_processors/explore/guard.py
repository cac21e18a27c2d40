"""What the page's server answers: requests to its own name, and of those only what the page itself sends.

A web site of elsewhere can point its name at 127.0.0.1 and let a visitor's browser ask this server (DNS rebinding); the request then
names that site as its host. Uploads and other endpoints of the toolkit that this page does not use are closed, and bodies are bounded.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = ("localhost", "127.0.0.1", "::1")
EVERYBODY = ("0.0.0.0", "::", "")
POSTED = ("/queue/join", "/cancel", "/reset")
"""Ends of the paths that the page posts to."""
READ = ("GET", "HEAD", "OPTIONS")
LARGEST_BODY = 400_000
"""Bytes of one request: all fields of the page, with the longest prompt in any script."""


@dataclass(frozen=True)
class Hosts:
    """Names under which the page may be asked for.

    Args:
        names: In lower case, without port.
        any_address: Whether IP addresses are all allowed: no name of elsewhere can be one.
        any_name: Whether all names are allowed, as for a page that is public anyway and stands behind a proxy.
    """

    names: frozenset[str]
    any_address: bool = False
    any_name: bool = False

    @classmethod
    def of(cls, host: str, more: Collection[str] = ()) -> Hosts:
        """The names of this machine itself, and those that `--host` and `--allow-host` say.

        Example:
            >>> Hosts.of("127.0.0.1").allows("localhost:7860"), Hosts.of("127.0.0.1").allows("evil.example")
            (True, False)
        """
        own = (socket.gethostname(), socket.getfqdn()) if host in EVERYBODY else (host,)
        return cls(frozenset(name.lower() for name in (*LOOPBACK, *own, *more)), any_address=host in EVERYBODY)

    def allows(self, header: str) -> bool:
        """Whether a `Host` header names this page; its port does not matter."""
        if self.any_name:
            return True
        try:
            name = (urlsplit(f"//{header}").hostname or "").rstrip(".")
        except ValueError:
            return False
        return name in self.names or (self.any_address and _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Guard:
    """ASGI middleware that refuses other hosts (400), endpoints that the page does not use (404), and large bodies (413).

    Args:
        app: What answers the rest.
        hosts: The names of the page.
    """

    def __init__(self, app: ASGIApp, hosts: Hosts) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        refusal = self._refusal(scope) if scope["type"] in ("http", "websocket") else None
        answer = self.app if refusal is None else PlainTextResponse(refusal[1], status_code=refusal[0])
        await answer(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers, method = Headers(scope=scope), scope.get("method", "GET")
        if not self.hosts.allows(headers.get("host", "")):
            return 400, "This page is not served under that name: --host or --allow-host says its names."
        if method in READ:
            return None
        if method != "POST" or not scope["path"].rstrip("/").endswith(POSTED):
            return 404, "The page does not use this."
        length = headers.get("content-length", "")
        if not length.isdecimal():
            return 411, "A request has to say its length."
        if int(length) > LARGEST_BODY:
            return 413, f"A request may have {LARGEST_BODY:,} bytes."
        return None
