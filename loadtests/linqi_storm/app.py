"""The issuing app: signs demo users in, serves them behind linqi, and publishes its keys."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Final

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, request_response
from starlette.types import ASGIApp

from linqi import (
    JWTMiddleware,
    RenewalSettings,
    RequireScopes,
    Signer,
    SlidingRenewal,
    Verified,
    Verifier,
    jwks_route,
)
from linqi_storm.credentials import LoginFault, read_credentials
from linqi_storm.first_start import prepare
from linqi_storm.stopwatch import Stopwatch
from linqi_storm.users import SCOPES, STATS_SCOPE, DemoUsers

__all__ = ["JWKS_PATH", "create_app"]

JWKS_PATH: Final = "/.well-known/jwks.json"
_PUBLIC: Final = ("/login", "/healthz", JWKS_PATH)
_LOGINS_AT_ONCE: Final = 4
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
    """Give the app, wrapped in `linqi.JWTMiddleware`, on the keys and users in the folder `data`.

    A folder that is not there yet is made; see `linqi_storm.first_start.prepare`, which also
    tells the password it made up. `is_timed` times verification for ``GET /stats``.
    `ConfigurationError` when the folder or the settings do not fit.
    """
    prepared = prepare(data, alg=alg, password=password)
    signer = Signer(prepared.key_file.keys, issuer=issuer, audience=audience, clock=clock)
    verifier = Verifier.trusting(signer, clock=clock)
    renewal = SlidingRenewal(signer, settings, on_issue=verifier.prime, clock=clock)
    stopwatch = Stopwatch()
    api: ASGIApp = _Api(prepared.users, verifier, renewal, stopwatch, clock).routed()
    if is_timed:
        api = stopwatch.inside(api)
    guarded = JWTMiddleware(
        api,
        verifier,
        renewal=renewal,
        public=_PUBLIC,
        services=[prepared.key_file],
        clock=clock,
    )
    return stopwatch.outside(guarded) if is_timed else guarded


class _Api:
    """The application's own routes: what a project would write itself."""

    def __init__(
        self,
        users: DemoUsers,
        verifier: Verifier,
        renewal: SlidingRenewal,
        stopwatch: Stopwatch,
        clock: Callable[[], float],
    ) -> None:
        self._users = users
        self._verifier = verifier
        self._renewal = renewal
        self._stopwatch = stopwatch
        self._clock = clock
        self._logins = CapacityLimiter(_LOGINS_AT_ONCE)

    def routed(self) -> Starlette:
        """Give the routes as a Starlette application."""
        stats = RequireScopes(request_response(self.stats), STATS_SCOPE)
        return Starlette(
            routes=[
                Route("/login", self.login, methods=["POST"]),
                Route("/me", self.me),
                *self._key_routes(),
                Route("/stats", stats, methods=["GET"]),
                Route("/healthz", self.healthz),
            ]
        )

    def _key_routes(self) -> list[Route]:
        """Give the route of the public keys; an HMAC secret has none."""
        keys = self._renewal.signer.keys
        is_secret = keys.signing_key().kty == "oct"
        return [] if is_secret else [Route(JWKS_PATH, jwks_route(keys, clock=self._clock))]

    async def login(self, request: Request) -> Response:
        """Answer a user name and password with the first token of a session (RFC 6749, 5.1)."""
        try:
            given = await read_credentials(request)
        except LoginFault as fault:
            return _refuse(fault.status, "invalid_request", fault.hint)
        except ClientDisconnect:
            return _refuse(400, "invalid_request", "the body ended early")
        is_right = await to_thread.run_sync(
            self._users.check, given.username, given.password, limiter=self._logins
        )
        if not is_right:
            return _refuse(401, "invalid_grant", "the user name or the password is wrong")
        issued = self._renewal.start(given.username, scopes=SCOPES.get(given.username, ()))
        answer = {
            "access_token": issued.token,
            "token_type": "Bearer",
            "expires_in": int(issued.expires_at - self._clock()),
            "refresh_in": round(issued.refresh_in, 3),
        }
        return JSONResponse(answer, headers=_NO_STORE)

    async def me(self, request: Request) -> Response:
        """Answer who called."""
        verified: Verified = request.scope["linqi"]
        answer = {
            "subject": verified.subject,
            "scopes": verified.scopes,
            "expires_at": verified.expires_at,
            "session_id": verified.session_id,
        }
        return JSONResponse(answer, headers=_NO_STORE)

    async def stats(self, request: Request) -> Response:
        """Answer what this process has counted; every worker counts for itself."""
        cache, timed = self._verifier.cache, self._stopwatch.spread()
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


def _refuse(status: int, error: str, description: str) -> Response:
    answer = {"error": error, "error_description": description}
    return JSONResponse(answer, status, headers=_NO_STORE)
