"""The issuing app: login of demo users, sliding and dual sessions, published keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route, request_response
from starlette.types import ASGIApp

from linqi import (
    JWTMiddleware,
    RenewalSettings,
    RequireScopes,
    SessionRoutes,
    Sessions,
    Signer,
    SlidingRenewal,
    Verified,
    Verifier,
    jwks_route,
)
from linqi.errors import Unavailable
from linqi.stores.store_url import open_store
from linqi_storm.serve.credentials import LoginFault, read_credentials
from linqi_storm.serve.data_folder import open_data_folder, refresh_keys
from linqi_storm.serve.page import PAGE_PATHS, page_routes
from linqi_storm.serve.stolen_token import StolenTokenDemo
from linqi_storm.serve.users import STATS_SCOPE, DemoUsers
from linqi_storm.serve.verification_timer import VerificationTimer

__all__ = ["JWKS_PATH", "create_app"]

JWKS_PATH: Final = "/.well-known/jwks.json"
_DUAL: Final = "/auth"
_PUBLIC: Final = ("/login", "/healthz", JWKS_PATH, f"{_DUAL}/*", *PAGE_PATHS)
_NO_STORE: Final = {"Cache-Control": "no-store"}


def create_app(
    data: Path,
    *,
    issuer: str,
    audience: str,
    settings: RenewalSettings,
    alg: str = "ES256",
    password: str | None = None,
    is_timed: bool = False,
    clock: Callable[[], float] = time.time,
) -> ASGIApp:
    """Return the app, wrapped in `linqi.JWTMiddleware`.

    Its own routes slide sessions. Those below ``/auth`` use dual tokens on a SQLite store in the
    folder, without sliding.

    Args:
        data: The folder of keys, users and sessions, created if missing
            (`linqi_storm.serve.data_folder.open_data_folder`).
        issuer: ``iss`` of the tokens.
        audience: ``aud`` of the tokens.
        settings: Of renewal.
        alg: Of a new signing key.
        password: Of the demo users; a random one for a new folder if None.
        is_timed: Whether to measure verification times for ``GET /stats``.
        clock: Returns Unix seconds.

    Raises:
        ConfigurationError: If the folder and the settings do not fit.

    """
    prepared = open_data_folder(data, alg=alg, password=password)
    signer = Signer(prepared.key_file.keys, issuer=issuer, audience=audience, clock=clock)
    sessions = Sessions(
        open_store(f"sqlite:{data / 'sessions.db'}"),
        signer,
        refresh_keys(data),
        access=settings,
        clock=clock,
    )
    is_revoked = sessions.revocations.is_revoked
    verifier = Verifier.trusting(signer, is_revoked=is_revoked, clock=clock)
    renewal = SlidingRenewal(
        signer, settings, is_revoked=is_revoked, on_issue=verifier.cache_issued, clock=clock
    )
    timer = VerificationTimer()
    dual = _dual(sessions, verifier, prepared.users, clock)
    shown = _Api(prepared.users, verifier, renewal, sessions, timer, clock)
    api: ASGIApp = shown.routed([*page_routes(settings), Mount(_DUAL, dual)])
    if is_timed:
        api = timer.inside(api)
    guarded = JWTMiddleware(
        api,
        verifier,
        renewal=renewal,
        public=_PUBLIC,
        services=[prepared.key_file, sessions],
        clock=clock,
    )
    return timer.outside(guarded) if is_timed else guarded


def _dual(
    sessions: Sessions, verifier: Verifier, users: DemoUsers, clock: Callable[[], float]
) -> ASGIApp:
    """Return the routes of dual tokens, behind a middleware without sliding renewal (R9)."""
    own = Starlette(routes=[Route("/me", _me), *StolenTokenDemo(sessions).routes()])
    routes = SessionRoutes(own, sessions, verifier, users.authenticate, clock=clock)
    public = [*routes.public, "/demo/*"]
    return JWTMiddleware(routes, verifier, public=public, clock=clock)


class _Api:
    """The application's own routes, as a project writes them."""

    def __init__(
        self,
        users: DemoUsers,
        verifier: Verifier,
        renewal: SlidingRenewal,
        sessions: Sessions,
        timer: VerificationTimer,
        clock: Callable[[], float],
    ) -> None:
        self._users = users
        self._verifier = verifier
        self._renewal = renewal
        self._sessions = sessions
        self._timer = timer
        self._clock = clock

    def routed(self, more: Sequence[BaseRoute]) -> Starlette:
        """Return the routes, and `more`, as a Starlette application."""
        stats = RequireScopes(request_response(self.stats), STATS_SCOPE)
        return Starlette(
            routes=[
                Route("/login", self.login, methods=["POST"]),
                Route("/logout", self.logout, methods=["POST"]),
                Route("/me", _me),
                *self._key_routes(),
                Route("/stats", stats, methods=["GET"]),
                Route("/healthz", self.healthz),
                *more,
            ]
        )

    def _key_routes(self) -> list[Route]:
        """Return the route of the public keys; none for an HMAC secret."""
        keys = self._renewal.signer.keys
        is_secret = keys.signing_key().kty == "oct"
        return [] if is_secret else [Route(JWKS_PATH, jwks_route(keys, clock=self._clock))]

    async def login(self, request: Request) -> Response:
        """Answer a login with the first token of a session (RFC 6749, section 5.1)."""
        try:
            given = await read_credentials(request)
        except LoginFault as fault:
            return _refuse(fault.status, "invalid_request", fault.hint)
        except ClientDisconnect:
            return _refuse(400, "invalid_request", "the body ended early")
        person = await self._users.authenticate(
            {"username": given.username, "password": given.password}
        )
        if person is None:
            return _refuse(401, "invalid_grant", "the user name or the password is wrong")
        issued = self._renewal.start(person.subject, scopes=person.scopes)
        answer = {
            "access_token": issued.token,
            "token_type": "Bearer",
            "expires_in": int(issued.expires_at - self._clock()),
            "refresh_in": round(issued.refresh_in, 3),
        }
        return JSONResponse(answer, headers=_NO_STORE)

    async def logout(self, request: Request) -> Response:
        """Revoke the session of the presented token, with all its successors."""
        verified: Verified = request.scope["linqi"]
        try:
            await self._sessions.revoke(
                verified.session_id or "", user=verified.identity, cause="logout"
            )
        except Unavailable:
            return _refuse(503, "temporarily_unavailable", "try again")
        return Response(status_code=204, headers=_NO_STORE)

    async def stats(self, request: Request) -> Response:
        """Answer with the counters of this process; every worker has its own."""
        cache, timed = self._verifier.cache, self._timer.spread()
        answer = {
            "renewal": asdict(self._renewal.counts),
            "cache": None if cache is None else asdict(cache.info()),
            "verification": None
            if timed is None
            else {"count": timed.count, "p50_seconds": timed.p50, "p99_seconds": timed.p99},
        }
        return JSONResponse(answer, headers=_NO_STORE)

    async def healthz(self, request: Request) -> Response:
        """Answer that the process serves."""
        return JSONResponse({"status": "ok"}, headers=_NO_STORE)


async def _me(request: Request) -> Response:
    """Answer with the caller's verified claims."""
    verified: Verified = request.scope["linqi"]
    answer = {
        "subject": verified.subject,
        "scopes": verified.scopes,
        "expires_at": verified.expires_at,
        "session_id": verified.session_id,
    }
    return JSONResponse(answer, headers=_NO_STORE)


def _refuse(status: int, error: str, description: str) -> Response:
    answer = {"error": error, "error_description": description}
    return JSONResponse(answer, status, headers=_NO_STORE)
