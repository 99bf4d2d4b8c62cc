"""Requests whose token has stale claims: renewed before the application sees them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from linqi import events
from linqi.asgi._http import Message, Receive, Scope, Send, find_header
from linqi.asgi.renewal_response import NEVER_RENEWED, RenewalResponder
from linqi.asgi.streams import StreamSession
from linqi.asgi.transports import Transport
from linqi.errors import LinqiError, RenewalRefused, StaleClaims, TokenError, Unavailable
from linqi.jose.verified import Verified
from linqi.sessions.sliding import Issued

__all__ = ["serve_stale"]

_Respond: TypeAlias = Callable[
    [Scope, Receive, Send, Verified, Transport], tuple[Awaitable[None], StreamSession | None]
]
_MOST_MARKS: Final = 3
"""How often the claims of one subject may change while one request is renewed."""


async def serve_stale(
    renewer: RenewalResponder,
    stale: StaleClaims,
    transport: Transport,
    respond: _Respond,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> LinqiError | None:
    """Serve a request with the claims of now, and deliver their token with a 2xx response.

    The application never sees the old claims: where the new ones cannot be had, the request is
    refused.

    Returns:
        None if it was served, otherwise why it must be refused.

    """
    if scope["type"] != "http":
        return stale
    try:
        issued, verified = await _updated(renewer, stale)
    except LinqiError as fault:
        return fault
    # A near-expiry request gets a successor of the new token, which takes the place of that.
    if renewer.clock() <= verified.due_at:
        send = _delivering(renewer, issued, verified.identity, scope, send, transport)
    response, stream = respond(scope, receive, send, verified, transport)
    try:
        await response
    finally:
        if stream is not None and stream.live is not None:
            await stream.live.close()
    return None


async def _updated(renewer: RenewalResponder, stale: StaleClaims) -> tuple[Issued, Verified]:
    """Return the token with the claims of now, and its verified value."""
    renewer.verifier.check_lifetime(stale.verified)
    for _ in range(_MOST_MARKS):
        issued, is_first = await _issued(renewer, stale)
        try:
            verified = renewer.verifier.verify(issued.token)
        except StaleClaims as newer:
            stale = StaleClaims(stale.verified, newer.mark)
            continue
        who = verified.identity
        renewer.report(events.ClaimsUpdated(user=who, session=issued.session_id, signed=is_first))
        return issued, verified
    raise Unavailable("the claims of the subject change faster than they can be read")


async def _issued(renewer: RenewalResponder, stale: StaleClaims) -> tuple[Issued, bool]:
    begun = renewer.renewal.update(stale, renewer.clock())
    if begun is None:
        raise Unavailable("the claims are stale, and the renewal budget is used up")
    try:
        issued = await renewer.made(begun)
        renewer.check_size(issued)
    except TimeoutError:
        raise Unavailable("the claims are stale, and their renewal takes long") from None
    except RenewalRefused as refused:
        user, session = stale.verified.identity, stale.verified.session_id or ""
        renewer.report(events.RenewalDenied(user=user, session=session, reason=refused.reason))
        raise stale from refused
    except (TokenError, Unavailable):
        raise
    except Exception as error:
        detail = str(error) if isinstance(error, LinqiError) else type(error).__name__
        raise Unavailable(f"the claims are stale, and no token can be made: {detail}") from error
    return issued, begun.is_first


def _delivering(
    renewer: RenewalResponder,
    issued: Issued,
    user: str,
    scope: Scope,
    send: Send,
    transport: Transport,
) -> Send:
    """Return a `send` that adds `issued` to the start of a 2xx response."""
    origin = find_header(scope["headers"], b"origin")
    may_carry = scope["method"] not in NEVER_RENEWED

    def with_token(message: Message) -> Message:
        given = [(bytes(name), bytes(value)) for name, value in message.get("headers", ())]
        message = {**message, "headers": given}  # the application's headers may be iterators
        headers = list(given)
        if renewer.is_kept_free(headers):
            return message
        try:
            is_delivered = renewer.deliver(issued, transport, origin, headers)
        except LinqiError as error:
            failed = events.RenewalFailed(user=user, session=issued.session_id, detail=str(error))
            renewer.report(failed)
            return message
        return {**message, "headers": headers} if is_delivered else message

    async def send_with_token(message: Message) -> None:
        nonlocal may_carry
        if message["type"] == "http.response.start" and may_carry:
            may_carry = False
            if 200 <= message["status"] < 300:
                message = with_token(message)
        await send(message)

    return send_with_token
