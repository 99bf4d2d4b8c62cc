"""The route that exchanges a token of an earlier system for the tokens of a session."""

from __future__ import annotations

from collections.abc import Callable

from linqi.asgi._http import Receive, Scope
from linqi.asgi.route_response import RouteResponse, error_body, outcome
from linqi.asgi.session_cookie import SessionCookie
from linqi.errors import InvalidRequest, RefreshRefused
from linqi.events import RefreshDenied, TokenMoved
from linqi.jose.verified import Verified
from linqi.sessions.dual import Sessions
from linqi.sessions.pair import TokenPair
from linqi.sessions.successor_claims import Authorize

__all__ = ["MoveRoute"]


class MoveRoute:
    """Answers ``POST /move`` with a bridged token with an access and a refresh token.

    Args:
        sessions: Starts the session.
        cookie: The cookie of the refresh token, for clients that want one.
        authorize_move: The application's; None takes the claims that the bridge names.
        caller: Returns whose token the request has.
        device: Returns what the list of sessions shows.
        answer: Makes the response of a pair, in a cookie or not.

    """

    def __init__(
        self,
        sessions: Sessions,
        cookie: SessionCookie,
        authorize_move: Authorize | None,
        *,
        caller: Callable[[Scope], Verified],
        device: Callable[[Scope], str],
        answer: Callable[[TokenPair, bool], RouteResponse],
    ) -> None:
        self._sessions = sessions
        self._cookie = cookie
        self._authorize = authorize_move
        self._caller = caller
        self._device = device
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive) -> RouteResponse:
        """Return the response."""
        is_cookie = self._cookie.is_wanted(scope)
        if is_cookie:
            self._cookie.check(scope)
        verified = self._caller(scope)
        if not verified.bridged:
            raise InvalidRequest("only a token of the earlier system is exchanged")
        try:
            pair = await self._sessions.move_in(
                verified, authorize=self._authorize, device=self._device(scope)
            )
        except RefreshRefused as refused:
            session = verified.session_id or ""
            event = RefreshDenied(reason=refused.reason, detail=refused.detail, session=session)
            self._sessions.events(event)
            body = error_body("invalid_grant", "sign in again")
            headers = [outcome(refused.reason)]
            return RouteResponse(400, body, headers, "session_ended", refused.reason)
        self._sessions.events(
            TokenMoved(
                user=verified.identity,
                session=pair.session_id,
                old_expires_at=verified.expires_at,
                new_expires_at=pair.access_expires_at,
                signed=True,
            )
        )
        return self._answer(pair, is_cookie)
