"""The middleware: verifies the token of each request, and renews it near expiry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from linqi import events
from linqi._ranges import Range, Ranges, range_faults
from linqi.asgi._http import (
    Access,
    ASGIApp,
    Headers,
    PathRules,
    Receive,
    Scope,
    Send,
    is_preflight,
    read_once,
)
from linqi.asgi.argument_faults import trust_faults, value_faults
from linqi.asgi.drain import Drain
from linqi.asgi.lifespan import ReportingService, Service, Services
from linqi.asgi.quiet import QuietRequests
from linqi.asgi.refusals import as_request_fault, refuse
from linqi.asgi.streams import StreamLimits, StreamSession
from linqi.asgi.transports import HeaderTransport, Transport
from linqi.errors import (
    ConfigurationError,
    InvalidRequest,
    LinqiError,
    StaleClaims,
    Unavailable,
    UnknownKey,
)
from linqi.events.dispatcher import Dispatcher
from linqi.instrumentation.logging import LoggingHook
from linqi.jose.verified import ANONYMOUS, Anonymous, Verified
from linqi.jose.verifier import Verifier

if TYPE_CHECKING:
    from linqi.asgi.refusal_format import RefusalFormat
    from linqi.asgi.refusals import BodyWriter
    from linqi.asgi.renewal_response import RenewalResponder
    from linqi.asgi.resource_metadata import ResourceMetadata
    from linqi.asgi.route_table import RouteTable, Rules
    from linqi.events import Event, Hook
    from linqi.sessions.sliding import SlidingRenewal

__all__ = ["JWTMiddleware"]

_GUARDED, _OPTIONAL, _PUBLIC = Access.GUARDED, Access.OPTIONAL, Access.PUBLIC


class JWTMiddleware:
    """Passes only requests with a verified token to an ASGI application.

    The application finds the verified token in ``scope["linqi"]``, and as Starlette's
    ``request.user`` and ``request.auth``. With `renewal`, a response to a near-expiry token
    carries its successor, in the transport of the token.

    Args:
        app: The ASGI application.
        verifier: Verifies the tokens.
        renewal: Issues successors; None for no renewal.
        public: Paths that are served without looking at a token: exact paths, or whole leading
            segments such as ``/static/*``.
        optional: Paths of the same form that are verified only where a token is presented.
        marked: The routes that the application marked as public or optional beside their code.
        quiet: Paths of the same form whose requests never extend a session, such as polls.
        quiet_header: A header ``X-...`` by which a client marks any request as quiet.
        transports: How tokens are sent, the ``Authorization`` header by default; a request that
            uses two transports at once is refused.
        expose_to: Origins whose scripts may read the successor's header (CORS).
        realm: The realm of challenges (RFC 6750, section 3).
        refusal: The format of the bodies of refused requests, those of guards and session routes
            inside included; None for that of RFC 6750.
        resource_metadata: What every challenge refers to (RFC 9728, section 5.1), those of guards,
            session routes and frameworks inside included: a `ResourceMetadata`, whose document is
            then served at its path, or the URL of a document that is served elsewhere.
        skip_cacheable: Whether a response that the application marked as cacheable carries no
            successor; a later response then does.
        wait_seconds: How long a response waits for the signature of its successor; above 0 to 30.
        check_seconds: How often the session of an open WebSocket or event stream is checked.
        end_streams: Whether ``text/event-stream`` responses end with their token; other responses
            are not affected.
        stream_grace_seconds: How long such a stream outlives ``exp``, but never the session's end;
            0 to 3600.
        verify_off_loop: Algorithms whose signatures are checked in threads; whether that helps
            depends on the load (docs/reference/benchmarks.md).
        services: Started before the application and closed after it, like the verifier's remote
            key sets. Where the server sends no lifespan, the first request with a token starts
            them.
        hooks: Receive every event, those of the verifier and of `services` included; by default
            events are logged to the logger ``linqi``.
        clock: Returns Unix seconds; by default the clock of `verifier`.

    Raises:
        ConfigurationError: Arguments are malformed or contradict each other; all faults are named.

    """

    RANGES: ClassVar[Ranges] = {
        "wait_seconds": Range(0, 30, "seconds", is_above=True),
        "check_seconds": Range(0, 3600, "seconds", is_above=True),
        "stream_grace_seconds": Range(0, 3600, "seconds"),
    }

    def __init__(
        self,
        app: ASGIApp,
        verifier: Verifier,
        *,
        renewal: SlidingRenewal | None = None,
        public: Sequence[str] = (),
        optional: Sequence[str] = (),
        marked: RouteTable | None = None,
        quiet: Sequence[str] = (),
        quiet_header: str | None = None,
        transports: Sequence[Transport] | None = None,
        expose_to: Sequence[str] = (),
        realm: str = "api",
        refusal: RefusalFormat | None = None,
        resource_metadata: ResourceMetadata | str | None = None,
        skip_cacheable: bool = False,
        wait_seconds: float = 1.0,
        check_seconds: float = 5.0,
        end_streams: bool = True,
        stream_grace_seconds: float = 60.0,
        verify_off_loop: Sequence[str] = (),
        services: Sequence[Service] = (),
        hooks: Sequence[Hook] | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        used: list[Transport] = [HeaderTransport()] if transports is None else list(transports)
        seconds = {
            "wait_seconds": wait_seconds,
            "check_seconds": check_seconds,
            "stream_grace_seconds": stream_grace_seconds,
        }
        faults = trust_faults(verifier, renewal)
        faults += value_faults(used, expose_to, realm, resource_metadata)
        faults += range_faults(self.RANGES, seconds)
        if faults:
            raise ConfigurationError(faults)
        clock = clock or verifier.clock
        self.app = app
        self.verifier = verifier
        self.renewal = renewal
        if resource_metadata is not None and not isinstance(resource_metadata, str):
            public = [*public, resource_metadata.path]
        paths = PathRules(public, optional)
        self._rules: Rules = paths if marked is None else marked.beside(paths)
        quiet_requests = QuietRequests(quiet, quiet_header)
        self._quiet = None if quiet_requests.is_empty else quiet_requests
        self._transports: Sequence[Transport] = used
        self._only: Transport | None = used[0] if len(used) == 1 else None
        self._realm = realm
        self._drain = Drain()
        self._check_seconds = check_seconds
        chosen = (LoggingHook(),) if hooks is None else tuple(hooks)
        if marked is not None:
            chosen, services = (*chosen, marked.notice), [*services, marked]
        self._events: Dispatcher[Event] = Dispatcher(chosen)
        self._writer: BodyWriter | None = None
        if refusal is not None or resource_metadata is not None:
            from linqi.asgi.challenges import around

            self.app, self._writer = around(app, refusal, resource_metadata, self._events)
        limits = StreamLimits(
            verifier=verifier,
            grace_seconds=stream_grace_seconds,
            check_seconds=check_seconds,
            clock=clock,
            report=self._events,
        )
        self._streams = limits if end_streams else None
        self._clock = clock
        verifier.listen(*chosen)
        if renewal is not None:
            verifier.schedule(renewal.settings)
        for service in services:
            if isinstance(service, ReportingService):
                service.listen(*chosen)
        self._off_loop: OffLoop | None = None
        if verify_off_loop:
            from linqi.asgi.off_loop import OffLoop

            self._off_loop = OffLoop(verifier, verify_off_loop)
            services = [*services, self._off_loop]
        self._services = Services(
            [*verifier.fetched_keys, *services],
            None if renewal is None else renewal.close,
            self._events,
        )
        self._is_direct = self._off_loop is None and not self._services.is_any
        self._renewer: RenewalResponder | None = None
        if renewal is not None:
            from linqi.asgi.renewal_response import RenewalResponder

            self._renewer = RenewalResponder(
                renewal,
                expose_to=frozenset(origin.encode("ascii") for origin in expose_to),
                skip_cacheable=skip_cacheable,
                wait_seconds=wait_seconds,
                verifier=verifier,
                report=self._events,
                clock=clock,
                quiet=self._quiet,
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection: admit it, verify its token, respond.

        Raises:
            LinqiError: The scope is of an unknown type, which no rule guards.

        """
        kind = scope["type"]
        if kind == "lifespan":
            await self._services.serve(self.app, scope, receive, send)
            return
        scope, access = self._admit(scope, kind)
        if access is _PUBLIC:
            await self.app(_known(scope, ANONYMOUS), receive, send)
            return
        token = None
        try:
            transport = self._only
            if transport is None:
                transport, token = self._read(scope)
            else:
                token = transport.read(scope, scope["headers"])
            if token is None:
                verified = None
            elif self._is_direct or (self._off_loop is None and self._services.is_ready):
                try:
                    verified = self.verifier.verify(token)
                except (UnknownKey, Unavailable) as error:
                    verified = await self._verify_after_fetch(token, error)
            else:
                verified = await self._verify(token)
        except LinqiError as error:
            await self._respond_refused(error, token, transport, scope, receive, send)
            return
        if verified is None or kind != "http":
            await self._respond_otherwise(access, scope, receive, send, verified, transport)
            return
        response, stream = self._respond(scope, receive, send, verified, transport)
        try:
            await response
        finally:
            if stream is not None and stream.live is not None:
                await stream.live.close()

    def _admit(self, scope: Scope, kind: str) -> tuple[Scope, Access]:
        """Return a scope that can be read again, and what its path and method require."""
        if kind != "http":
            if kind != "websocket":
                raise LinqiError(f"ASGI scope type {kind!r} is not guarded: it is not let through")
            scope = read_once(scope)
        access = _GUARDED if self._rules.is_empty else self._rules.access(scope)
        headers: Headers = scope["headers"]
        # Only the first header is checked: servers and clients create all of them in the same way.
        if type(headers) is not list or (headers and type(headers[0]) is not tuple):
            scope = read_once(scope)
        if kind == "http" and scope["method"] == "OPTIONS" and is_preflight(scope["headers"]):
            access = _PUBLIC
        return scope, access

    def _read(self, scope: Scope) -> tuple[Transport, bytes | None]:
        """Return the one token of a request, and the transport that carried it."""
        found: tuple[Transport, bytes | None] = (self._transports[0], None)
        for transport in self._transports:
            token = transport.read(scope, scope["headers"])
            if token is not None:
                if found[1] is not None:
                    raise InvalidRequest("tokens are presented in two places at once")
                found = (transport, token)
        return found

    async def _verify(self, token: bytes) -> Verified:
        """Return the verified `token` where services must start first, or a thread checks it."""
        if not self._services.is_ready:
            await self._services.ensure()
        if self._off_loop is not None:
            return await self._off_loop.verify(token)
        try:
            return self.verifier.verify(token)
        except (UnknownKey, Unavailable) as error:
            return await self._verify_after_fetch(token, error)

    async def _verify_after_fetch(self, token: bytes, error: LinqiError) -> Verified:
        """Return the verified `token` once its key was fetched; raise `error` where none can be."""
        if not await self.verifier.fetch_key(token):
            raise error
        return self.verifier.verify(token)

    def _respond(
        self, scope: Scope, receive: Receive, send: Send, verified: Verified, transport: Transport
    ) -> tuple[Awaitable[None], StreamSession | None]:
        """Return the application's run on a verified request, and what guards an event stream.

        A plain function: another coroutine would take 0.2 us of each request (in memory).
        """
        known = dict(scope)
        known["linqi"] = known["user"] = known["auth"] = verified  # as `_known`, without the call
        stream = None
        if self._streams is not None:
            stream = StreamSession(self._streams, verified, scope, receive, send)
            known["linqi.stream"] = stream
            receive, send = stream.receive, stream.send
        renewer = self._renewer
        if renewer is None:
            return self.app(known, receive, send), stream
        now = self._clock()
        if now <= verified.due_at:  # most tokens: `decide` would cost two calls
            if self._events.verbose and self._events.is_verbose():
                renewer.report_not_due(verified, now)
        elif (wanted := renewer.due(verified, transport, scope, now)) is not None:
            return renewer.serve(self.app, known, receive, send, wanted), stream
        return self.app(known, receive, send), stream

    async def _respond_refused(
        self, error: LinqiError, token: bytes | None, transport: Transport | None, *asgi: Any
    ) -> None:
        """Refuse a request; one whose claims alone are stale is served if it can be renewed."""
        fault: LinqiError | None = as_request_fault(error, token)
        renewer, run = self._renewer, self._respond
        if isinstance(error, StaleClaims) and renewer is not None and transport is not None:
            from linqi.asgi.stale_requests import serve_stale

            fault = await serve_stale(renewer, error, transport, run, *asgi)
        if fault is not None:
            await self._refuse(fault, token, *asgi)

    async def _respond_otherwise(
        self,
        access: Access,
        scope: Scope,
        receive: Receive,
        send: Send,
        verified: Verified | None,
        transport: Transport,
    ) -> None:
        """Serve a WebSocket, or a request without a token: refused unless the path allows it."""
        if verified is not None:
            await self._respond_socket(scope, receive, send, verified, transport)
        elif access is _OPTIONAL:
            await self.app(_known(scope, ANONYMOUS), receive, send)
        else:
            await self._refuse(None, None, scope, receive, send)

    async def _respond_socket(
        self, scope: Scope, receive: Receive, send: Send, verified: Verified, transport: Transport
    ) -> None:
        from linqi.asgi.sockets import SocketSession, socket_scope

        if self._renewer is not None:
            self._renewer.skip_socket(verified)
        marker = transport.subprotocol
        session = SocketSession(
            self.verifier,
            verified,
            receive,
            send,
            clock=self._clock,
            check_seconds=self._check_seconds,
            subprotocol=marker,
            events=self._events,
        )
        inner = socket_scope(_known(scope, verified), session, marker)
        ended = await session.run(self.app, inner)
        if ended is not None:
            self._events(
                events.SocketClosed(user=verified.identity, code=ended.code, path=scope["path"])
            )

    async def _refuse(
        self,
        error: LinqiError | None,
        token: bytes | None,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        refusal = refuse(error, self._realm)
        from linqi.asgi.failures import token_refused

        is_quiet = self._quiet is not None and self._quiet.includes(scope)
        self._events(token_refused(error, token, scope, refusal.status, quiet=is_quiet))
        await refusal.send(scope, receive, send, self._drain, self._writer)


def _known(scope: Scope, who: Verified | Anonymous) -> Scope:
    """Return a copy of `scope` with the caller; values of outer programs are overwritten (H4)."""
    known = dict(scope)  # 0.1 us less than a display, which makes a dictionary of its own first
    known["linqi"] = known["user"] = known["auth"] = who
    return known
