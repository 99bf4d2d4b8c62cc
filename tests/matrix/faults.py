"""The faults of frameworks and servers: what fails there without linqi too.

The list is exact: a check that fails must fail unwrapped too and be listed, and one that is listed
must fail in each of its cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from matrix.frameworks import FRAMEWORKS
from matrix.servers import SERVERS

__all__ = ["FAULTS", "Fault", "fault_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault, in all cells of `frameworks` x `servers`; an empty tuple stands for all.

    Attributes:
        whose: The framework or server whose fault it is.
        checks: The names of the checks; empty for all, where no request is served.
        reason: Why it fails, in one line.
        advice: What a user should do.
        upstream: The address of its issue, if there is one.
        shown_by: The framework whose unwrapped application shows the fault of a server, where
            that of the cell's own framework cannot.

    """

    whose: str
    checks: tuple[str, ...]
    reason: str
    advice: str
    frameworks: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    upstream: str = ""
    shown_by: str = ""

    def covers(self, framework: str, server: str, check: str) -> bool:
        """Return whether the fault is that of this check in this cell."""
        return (
            check in (self.checks or (check,))
            and framework in (self.frameworks or (framework,))
            and server in (self.servers or (server,))
        )


_NOT_DAPHNE: Final = tuple(key for key in SERVERS if key != "daphne")
FAULTS: Final[tuple[Fault, ...]] = (
    Fault(
        whose="daphne",
        checks=("lifespan",),
        frameworks=("bare", "fastapi", "starlette", "litestar", "quart", "falcon", "blacksheep"),
        servers=("daphne",),
        reason="The server sends no lifespan events: no start-up, no shutdown.",
        advice="linqi then starts its key sets and stores with the first request that has a token."
        " What your application must start or close needs another server.",
        upstream="https://github.com/django/daphne/issues/264",
    ),
    Fault(
        whose="Django, Channels",
        checks=("lifespan",),
        frameworks=("django",),
        reason="Django and the router of Channels refuse the lifespan: they have nothing to start.",
        advice="Nothing. linqi starts its own services, and the server goes on.",
    ),
    Fault(
        whose="hypercorn",
        checks=("refused upload",),
        frameworks=tuple(key for key in FRAMEWORKS if key != "django"),
        servers=("hypercorn-h2",),
        reason="What a client still sends after a complete response ends the whole connection, with"
        " its other requests (`KeyError` in `hypercorn/protocol/h2.py`). So may an accepted upload"
        " whose client sends the end in a frame of its own (httpx), if the framework answers as"
        " soon as the declared length has arrived (Falcon).",
        advice="For large uploads over HTTP/2 put a proxy that buffers bodies in front, as nginx"
        " does by default, or let clients renew the token before an upload.",
        upstream="https://github.com/pgjones/hypercorn/pull/365",
    ),
    Fault(
        whose="hypercorn",
        checks=("refused upload",),
        frameworks=("django",),
        servers=("hypercorn-h2",),
        shown_by="bare",
        reason="As above. Django itself reads every body to its end before a view can refuse it.",
        advice="As above.",
    ),
    Fault(
        whose="granian",
        checks=("HEAD",),
        frameworks=("fastapi", "starlette", "litestar", "quart", "django", "sanic"),
        servers=("granian-h2",),
        reason="Over HTTP/2 the server sends the body that the framework makes for HEAD; over"
        " HTTP/1.1 it removes it, as all others do. Clients report a protocol error.",
        advice="Use GET, or HTTP/1.1 between the proxy and granian.",
    ),
    Fault(
        whose="Quart with daphne",
        checks=("WebSocket", "WebSocket at exp"),
        frameworks=("quart",),
        servers=("daphne",),
        reason="Quart needs `scheme` in the scope of a WebSocket, which ASGI leaves optional and"
        " daphne leaves out: every handshake is a 500.",
        advice="Use another server; Quart's own is hypercorn.",
        upstream="https://github.com/django/daphne/issues/538",
    ),
    Fault(
        whose="Falcon",
        checks=("hang-up",),
        frameworks=("falcon",),
        reason="`resp.stream` is read to its end although the client is gone.",
        advice="Give long streams an end, or use `resp.sse` for events, which watches the client.",
        upstream="https://github.com/falconry/falcon/issues/2015",
    ),
    Fault(
        whose="BlackSheep",
        checks=("hang-up",),
        frameworks=("blacksheep",),
        reason="Streamed content is read to its end although the client is gone: the framework does"
        " not listen for the disconnect.",
        advice="Give long streams an end. linqi ends event streams with their token.",
    ),
    Fault(
        whose="Sanic",
        checks=("hang-up",),
        frameworks=("sanic",),
        servers=_NOT_DAPHNE,
        reason="A handler can send although the client is gone: the framework does not listen for"
        " the disconnect.",
        advice="Give long streams an end. linqi ends event streams with their token.",
    ),
    Fault(
        whose="Falcon",
        checks=("root_path",),
        frameworks=("falcon",),
        reason="Routes are matched against `path` with `root_path` in it: 404.",
        advice="Mount it by a program that removes the prefix from `path`, or add the prefix to the"
        " routes. Public paths of linqi match with and without it.",
    ),
    Fault(
        whose="Sanic",
        checks=("root_path",),
        frameworks=("sanic",),
        servers=_NOT_DAPHNE,
        reason="Routes are matched against `path` with `root_path` in it: 404.",
        advice="As for Falcon.",
    ),
    Fault(
        whose="Sanic with daphne",
        checks=(),
        frameworks=("sanic",),
        servers=("daphne",),
        reason="Sanic takes its event loop from the lifespan, which daphne does not send: every"
        " request is a 500.",
        advice="Use another server.",
        upstream="https://github.com/django/daphne/issues/264",
    ),
)


def fault_of(framework: str, server: str, check: str) -> Fault | None:
    """Return the listed fault of a check in a cell, or None."""
    return next((fault for fault in FAULTS if fault.covers(framework, server, check)), None)
