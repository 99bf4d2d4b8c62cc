"""Responses to near-expiry requests, which carry a successor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from linqi import events
from linqi.asgi._http import ASGIApp, Message, Receive, Scope, Send, find_header, merge_list
from linqi.asgi.cache_fields import is_cache_field, is_cacheable
from linqi.asgi.conditions import Conditions
from linqi.asgi.quiet import QuietRequests
from linqi.asgi.transports import Transport
from linqi.errors import LinqiError, RenewalRefused, SigningError
from linqi.jose.verified import Verified
from linqi.sessions.claims_marks import marks_source
from linqi.sessions.decision import Due, NotRenewed
from linqi.sessions.sliding import Issued, PendingRenewal, SlidingRenewal

if TYPE_CHECKING:
    from linqi.events import Event, SkipReason
    from linqi.events.dispatcher import Dispatcher
    from linqi.jose.verifier import Verifier

__all__ = ["NEVER_RENEWED", "DueRequest", "RenewalResponder"]

NEVER_RENEWED: Final = frozenset({"HEAD", "OPTIONS"})
"""Methods whose responses carry no successor."""


@dataclass(slots=True)
class DueRequest:
    """A near-expiry request whose response may carry a successor.

    Attributes:
        verified: The token of the request.
        due: The decision that a renewal is due.
        transport: The transport of the token, which carries the successor too.
        origin: The ``Origin`` of the request, or None.
        now: When the request was verified, in Unix seconds.
        begun: The renewal, if it was begun before the application ran.

    """

    verified: Verified
    due: Due
    transport: Transport
    origin: bytes | None
    now: float
    begun: PendingRenewal | None = None


class RenewalResponder:
    """Adds successors to 2xx responses, and reports the outcome of each renewal.

    A renewal that fails never prevents the response: the old token is still valid.

    Args:
        renewal: Decides on successors and signs them.
        expose_to: Origins whose scripts may read the successor's header (CORS).
        skip_cacheable: Whether cacheable responses carry no successor.
        wait_seconds: How long a response waits for the signature of its successor.
        verifier: Verifies the tokens, and so the successors.
        report: Receives events.
        clock: Returns Unix seconds.
        quiet: Requests that never extend a session.

    """

    def __init__(
        self,
        renewal: SlidingRenewal,
        *,
        expose_to: frozenset[bytes],
        skip_cacheable: bool,
        wait_seconds: float,
        verifier: Verifier,
        report: Dispatcher[Event],
        clock: Callable[[], float],
        quiet: QuietRequests | None = None,
    ) -> None:
        self.renewal = renewal
        if renewal.marks is None:
            # Where only the verifier was given them: a token without `claims_at` is older than any
            # mark, so a user who signs in after a change would be refused for as long as it lasts.
            renewal.marks = marks_source(verifier.revocation_check)
        self.buffer = renewal.settings.buffer
        self._expose_to = expose_to
        self._skip_cacheable = skip_cacheable
        self._wait_seconds = wait_seconds
        self.verifier = verifier
        self.report = report
        self.clock = clock
        self._conditions = Conditions(clock)
        self._quiet = quiet

    async def serve(
        self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, wanted: DueRequest
    ) -> None:
        """Run `app` on a near-expiry request; a 2xx response carries the successor.

        Where signing is slow, it begins before the application runs, so that the successor is
        ready when the response starts. A bridged token is replaced before, so that the application
        sees what is granted at the move. `scope` must be a copy of the middleware's own.
        """
        if (reason := self._exempts(scope)) is not None:
            self.skip(wanted.verified, wanted.now, reason)
            await app(scope, receive, send)
            return
        is_bridged = wanted.verified.origin.bridged
        if is_early := is_bridged or self.renewal.signs_off_loop:
            wanted.begun = self._begin(wanted)
            if wanted.begun is None:
                await app(scope, receive, send)
                return
            if is_bridged:
                await self._show_moved(wanted.begun, scope)
        digest = wanted.verified.digest
        if self._conditions.may_hide(scope, digest) and (
            is_early or self.renewal.affords(wanted.verified, wanted.now)
        ):
            self._conditions.hide(scope, digest)
        is_started = False

        async def send_renewed(message: Message) -> None:
            nonlocal is_started
            if message["type"] == "http.response.start" and not is_started:
                is_started = True
                if 200 <= message["status"] < 300:
                    message = await self._renewed(wanted, message, is_early)
                else:
                    self.skip(wanted.verified, wanted.now, "status", message["status"])
            await send(message)

        try:
            await app(scope, receive, send_renewed)
        finally:
            if not is_started:
                self.skip(wanted.verified, wanted.now, "unanswered")

    async def _show_moved(self, begun: PendingRenewal, scope: Scope) -> None:
        """Put the first token of ours into `scope`; why there is none is reported at the response.

        Else a route that requires a scope would refuse every bridged token, and a refusal carries
        no successor that has it.
        """
        try:
            moved = self.verifier.verify((await self.made(begun)).token)
        except (TimeoutError, LinqiError):
            return
        scope["linqi"] = scope["user"] = scope["auth"] = moved

    def _exempts(self, scope: Scope) -> Literal["method", "quiet"] | None:
        """Return why a request never renews, whatever its response is; None if it may."""
        if scope["method"] in NEVER_RENEWED:
            return "method"
        return "quiet" if self._quiet is not None and self._quiet.includes(scope) else None

    def report_not_due(self, verified: Verified, now: float) -> None:
        """Report a token that is not near expiry to the hooks that want to know."""
        self.report.if_verbose(
            lambda: events.RenewalNotDue(
                user=verified.identity,
                expires_at=verified.expires_at,
                buffer=self.buffer,
                due_in=verified.due_at - now,
            )
        )

    def check_size(self, issued: Issued) -> None:
        """Raise `SigningError` if the verifier would not accept so long a successor.

        The client would replace a token that is accepted by one that is not.
        """
        most = self.verifier.token_bytes
        if len(issued.token) > most:
            size = f"{len(issued.token)} bytes, at most {most} are accepted"
            raise SigningError(f"the successor has {size}: authorize adds too much")

    def skip(self, verified: Verified, now: float, reason: SkipReason, status: int = 0) -> None:
        """Report why a near-expiry request gets no successor; the renewal is not asked."""
        self.report(
            events.RenewalSkipped(
                user=verified.identity,
                session=verified.session_id or "",
                reason=reason,
                status=status,
                seconds_left=verified.expires_at - now,
            )
        )

    def skip_socket(self, verified: Verified) -> None:
        """Report that a WebSocket handshake with a near-expiry token gets no successor."""
        now = self.clock()
        if now > verified.due_at:
            self.skip(verified, now, "websocket")

    def due(
        self, verified: Verified, transport: Transport, scope: Scope, now: float
    ) -> DueRequest | None:
        """Return the request if its token is due for renewal; else report why it never is."""
        decision = self.renewal.decide(verified, now)
        if isinstance(decision, Due):
            origin = find_header(scope["headers"], b"origin")
            return DueRequest(verified, decision, transport, origin, now)
        self._keep(verified, now, decision)
        return None

    def _keep(self, verified: Verified, now: float, kept: NotRenewed) -> None:
        """Report why a near-expiry token never gets a successor."""
        if kept.session_end is not None:
            self.report(
                events.SessionCapReached(
                    user=verified.identity,
                    session=verified.session_id or "",
                    session_end=kept.session_end,
                )
            )
        elif kept.reason != "not_due" and kept.reason != "at_end":
            self.skip(verified, now, kept.reason)

    async def _renewed(self, wanted: DueRequest, message: Message, is_early: bool) -> Message:
        """Return the response start with the successor, or unchanged if there is none."""
        given = [(bytes(name), bytes(value)) for name, value in message.get("headers", ())]
        message = {**message, "headers": given}  # the application's headers may be iterators
        headers = list(given)
        if self.is_kept_free(headers):
            self._defer(wanted, "cacheable")
            return message
        begun = wanted.begun if is_early else self._begin(wanted)
        if begun is None:
            return message
        try:
            issued = await self.made(begun)
            self.renewal.check_revocation(wanted.verified)
            self.check_size(issued)
            if not self.deliver(issued, wanted.transport, wanted.origin, headers):
                self._defer(wanted, "response")
                return message
        except TimeoutError:
            self._defer(wanted, "slow")
        except RenewalRefused as error:
            user, session = _who(wanted)
            self.report(events.RenewalDenied(user=user, session=session, reason=error.reason))
        except Exception as error:  # noqa: BLE001 - a failed renewal must not cost the response
            detail = str(error) if isinstance(error, LinqiError) else type(error).__name__
            user, session = _who(wanted)
            self.report(events.RenewalFailed(user=user, session=session, detail=detail))
        else:
            self._report_renewed(wanted, issued, begun.is_first)
            return {**message, "headers": headers}
        return message

    async def made(self, begun: PendingRenewal) -> Issued:
        """Return the successor, or raise `TimeoutError` if the signature takes too long."""
        if (issued := begun.ready) is not None:
            return issued
        try:
            return await asyncio.wait_for(begun, self._wait_seconds)
        except TimeoutError:
            # An event loop that was held up finds the time over and the signature made.
            if (issued := begun.ready) is None:
                raise
            return issued

    def _begin(self, wanted: DueRequest) -> PendingRenewal | None:
        begun = self.renewal.begin(wanted.verified, wanted.due, wanted.now)
        if begun is None:
            self._defer(wanted, "budget")
        return begun

    def is_kept_free(self, headers: list[tuple[bytes, bytes]]) -> bool:
        """Return whether a response is to carry no successor because caches may store it."""
        return self._skip_cacheable and is_cacheable(headers, self.clock())

    def deliver(
        self,
        issued: Issued,
        transport: Transport,
        origin: bytes | None,
        headers: list[tuple[bytes, bytes]],
    ) -> bool:
        """Add the successor to `headers`, and prevent every cache from storing it (R7).

        Returns:
            False where the application's own response sets the token.

        """
        if not transport.deliver(issued, headers, self.clock()):
            return False
        # A cache would hand the bearer token to other clients, and some fields allow caching in
        # spite of no-store (RFC 9213).
        headers[:] = [header for header in headers if not is_cache_field(header[0].lower())]
        headers.append((b"cache-control", b"no-store"))
        exposed = transport.successor_header
        if exposed is not None and origin in self._expose_to:
            merge_list(headers, b"access-control-expose-headers", (exposed,))
        return True

    def _defer(
        self, wanted: DueRequest, reason: Literal["budget", "slow", "response", "cacheable"]
    ) -> None:
        user, session = _who(wanted)
        left = wanted.verified.expires_at - wanted.now
        self.report(
            events.RenewalDeferred(user=user, session=session, reason=reason, seconds_left=left)
        )

    def _report_renewed(self, wanted: DueRequest, issued: Issued, is_first: bool) -> None:
        if wanted.verified.origin.bridged:
            moved = events.TokenMoved(
                user=wanted.verified.identity,
                session=issued.session_id,
                old_expires_at=wanted.verified.expires_at,
                new_expires_at=issued.expires_at,
                signed=is_first,
            )
            self.report(moved)
            return
        self.report(
            events.TokenRenewed(
                user=wanted.verified.identity,
                session=issued.session_id,
                old_expires_at=wanted.verified.expires_at,
                new_expires_at=issued.expires_at,
                buffer=self.renewal.settings.buffer,
                lag=wanted.now - wanted.due.due_at,
                signed=is_first,
            )
        )


def _who(wanted: DueRequest) -> tuple[str, str]:
    return wanted.verified.identity, wanted.verified.session_id or ""
