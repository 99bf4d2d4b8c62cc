"""Finds the parts of the library inside an application."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from types import (
    BuiltinFunctionType,
    CodeType,
    FrameType,
    FunctionType,
    ModuleType,
    TracebackType,
)
from typing import Any, Final

from linqi.asgi.transports import CookieTransport, HeaderTransport
from linqi.jose.verifier import Verifier
from linqi.sessions.dual import Sessions
from linqi.sessions.sliding import SlidingRenewal
from linqi.testing.faults import CannotTest

__all__ = ["Parts", "parts_of"]

_MOST_OBJECTS: Final = 500_000
_NOT_ENTERED: Final = (
    type,
    ModuleType,
    BuiltinFunctionType,
    CodeType,
    FrameType,
    TracebackType,
    str,
    bytes,
    int,
    float,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts that guard one application."""

    verifier: Verifier
    renewal: SlidingRenewal | None
    """None if no successors are made."""
    sessions: Sessions | None
    """None without a store."""
    header: HeaderTransport | None
    """The header that tokens are taken from; None if only cookies carry them."""
    successor_header: str
    """The response header that carries successors."""


def parts_of(app: object) -> Parts:
    """Return the parts inside `app`, which may be anything that refers to the middleware.

    Such as the middleware itself, a framework's application that has it among its middleware, or a
    test client of one.

    Raises:
        CannotTest: There is no verifier, or there are several.

    """
    found: dict[type, list[Any]] = {}
    for one in _reached_from(app):
        for kind in (Verifier, SlidingRenewal, Sessions, HeaderTransport, CookieTransport):
            if issubclass(type(one), kind):
                found.setdefault(kind, []).append(one)
    verifier = _only(found.get(Verifier, []), app)
    headers = found.get(HeaderTransport, [])
    if not headers and CookieTransport not in found:
        headers = [HeaderTransport()]
    name = (headers or [HeaderTransport()])[0].successor_header or b""
    return Parts(
        verifier=verifier,
        renewal=_first_of(verifier, found.get(SlidingRenewal, [])),
        sessions=_first_of(verifier, found.get(Sessions, [])),
        header=headers[0] if headers else None,
        successor_header=name.decode("ascii"),
    )


def _first_of(verifier: Verifier, services: list[Any]) -> Any:
    """Return the first service whose tokens `verifier` trusts, not one of another API nearby."""
    own = {trusted.issuer for trusted in verifier.issuers if trusted.own}
    return next((one for one in services if one.signer.issuer in own), None)


def _only(verifiers: list[Verifier], app: object) -> Verifier:
    name = type(app).__name__
    if not verifiers:
        raise CannotTest(
            f"there is no JWTMiddleware in the {name}: pass app=, the application as it is served,"
            " or override the fixture linqi_app"
        )
    if len(verifiers) > 1:
        raise CannotTest(
            f"there are {len(verifiers)} verifiers in the {name}: pass app=, the middleware that"
            " guards the routes of this test"
        )
    return verifiers[0]


def _reached_from(start: object) -> Iterator[Any]:
    """Yield what `start` refers to, the nearest first; no module and no class is entered."""
    seen, waiting = {id(start)}, deque([start])
    while waiting and len(seen) < _MOST_OBJECTS:
        one = waiting.popleft()
        yield one
        if issubclass(type(one), (Verifier, SlidingRenewal)):
            continue
        for other in _referred(one):
            if id(other) not in seen and not issubclass(type(other), _NOT_ENTERED):
                seen.add(id(other))
                waiting.append(other)


def _referred(one: Any) -> list[Any]:
    if type(one) is FunctionType:  # not its globals, which lead everywhere
        return [one.__closure__, one.__defaults__, one.__kwdefaults__, one.__dict__]
    return gc.get_referents(one)
