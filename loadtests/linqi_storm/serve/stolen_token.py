"""A demonstration of refresh token theft and reuse detection, for the demo page."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from linqi import Sessions
from linqi.asgi.session_cookie import SessionCookie
from linqi.errors import InvalidRequest, RefreshRefused, Unavailable

__all__ = ["StolenTokenDemo"]

_LOOT_SECONDS: Final = 60


class StolenTokenDemo:
    """Copies the refresh token of a request, and presents the copy later.

    The copy is stored in another HttpOnly cookie, so that no script reads it and every worker can
    present it. These routes are for the demo page only.
    """

    def __init__(self, sessions: Sessions, cookie_name: str = "__Host-refresh") -> None:
        self._sessions = sessions
        self._cookie = SessionCookie(cookie_name, ())
        self._loot = SessionCookie("__Host-loot", ())

    def routes(self) -> list[Route]:
        """Return the routes ``POST /demo/steal`` and ``POST /demo/replay``."""
        return [
            Route("/demo/steal", self.steal, methods=["POST"]),
            Route("/demo/replay", self.replay, methods=["POST"]),
        ]

    async def steal(self, request: Request) -> Response:
        """Copy the refresh token in the request's cookie."""
        try:
            self._cookie.check(request.scope)
            token = self._cookie.read(request.scope)
        except InvalidRequest as error:
            return _answer(400, outcome=error.detail)
        if token is None:
            return _answer(404, outcome="there is nothing to steal")
        answer = _answer(200, outcome="stolen")
        answer.raw_headers.append(self._loot.set(token, _LOOT_SECONDS))
        return answer

    async def replay(self, request: Request) -> Response:
        """Present the copy as a thief would, and answer with the outcome."""
        try:
            self._loot.check(request.scope)
            token = self._loot.read(request.scope)
            if token is None:
                return _answer(404, outcome="nothing was stolen in the last minute")
            outcome = (await self._sessions.refresh(token)).outcome
        except InvalidRequest as error:
            return _answer(400, outcome=error.detail)
        except RefreshRefused as refused:
            outcome = refused.reason
        except Unavailable:
            return _answer(503, outcome="the store is unavailable")
        answer = _answer(200, outcome=outcome)
        answer.raw_headers.append(self._loot.cleared())
        return answer


def _answer(status: int, *, outcome: str) -> JSONResponse:
    return JSONResponse({"outcome": outcome}, status, headers={"Cache-Control": "no-store"})
