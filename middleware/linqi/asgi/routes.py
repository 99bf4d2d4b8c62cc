"""The session routes: sign in, refresh, sign out, list, revoke."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from linqi._callbacks import log_fault
from linqi.asgi._http import (
    ASGIApp,
    Receive,
    Scope,
    Send,
    find_header,
    find_single,
)
from linqi.asgi.authentication import Authenticate, authenticated
from linqi.asgi.drain import Drain, RequestBody
from linqi.asgi.failures import failure_of, refused
from linqi.asgi.forms import BodyFault, read_form
from linqi.asgi.login_attempts import LoginAttempts
from linqi.asgi.refusals import refuse
from linqi.asgi.responses import retry_after
from linqi.asgi.route_response import RouteResponse, error_body, outcome, refusal
from linqi.asgi.session_cookie import SessionCookie
from linqi.asgi.throttle import LoginThrottle
from linqi.errors import (
    ConfigurationError,
    ForeignToken,
    LinqiError,
    RefreshRefused,
    TokenError,
)
from linqi.jose.verified import OPAQUE, Anonymous, Verified
from linqi.jose.verifier import Verifier
from linqi.sessions.dual import Sessions
from linqi.sessions.pair import TokenPair
from linqi.sessions.successor_claims import Authorize

__all__ = ["SessionRoutes"]


_SESSION_ID: Final = re.compile(r"[A-Za-z0-9_-]{30}")
_SINGLE_HEADERS: Final = (b"content-type", b"origin", b"sec-fetch-site", b"x-token-delivery")
"""Headers that identify the sender or the form of the body; a request with two is refused."""


class SessionRoutes:
    """Serves ``/login``, ``/refresh``, ``/logout``, ``/logout-all``, ``/sessions``, ``/revoke``.

    All other paths are passed to `app`. Put it inside the middleware, whose public paths include
    `public`:

        routes = SessionRoutes(app, sessions, verifier, authenticate)
        app = JWTMiddleware(routes, verifier, public=routes.public, services=[sessions])

    A refresh token is sent in an HttpOnly ``__Host-`` cookie, or in the body for clients other
    than browsers. ``X-Token-Delivery: cookie`` or ``body`` selects one; a page of another origin
    cannot send that header, which prevents CSRF.

    Args:
        app: The application that serves all other paths.
        sessions: Starts, refreshes and revokes the sessions.
        verifier: Verifies the access tokens of `sessions`.
        authenticate: Checks the fields of a login.
        prefix: Comes before each path, such as ``/auth``.
        origins: Origins whose pages may use the cookie besides those of the routes' own origin;
            they must be of the same site where the browser sends ``Sec-Fetch-Site``.
        cookie_name: The name of the cookie of the refresh token.
        cookie_secure: False is for development on loopback without TLS, with a `cookie_name`
            without ``__Host-``.
        throttle: The limits of failed sign-ins; None allows unlimited guesses.
        revoke_session: Whether ``/revoke`` with an access token ends its whole session; otherwise
            it revokes that token only.
        authorize_move: Called by ``/move``, which is there if `verifier` has a bridge, before a
            token of an earlier system gets a session.
        realm: The realm of challenges (RFC 6750, section 3).
        clock: Returns Unix seconds; by default the clock of `verifier`.

    Attributes:
        public: The paths that need no access token.

    Raises:
        ConfigurationError: An argument is malformed, or the verifier does not trust `sessions`.

    """

    def __init__(
        self,
        app: ASGIApp,
        sessions: Sessions,
        verifier: Verifier,
        authenticate: Authenticate,
        *,
        prefix: str = "",
        origins: Sequence[str] = (),
        cookie_name: str = "__Host-refresh",
        cookie_secure: bool = True,
        throttle: LoginThrottle | str | None = "default",
        revoke_session: bool = False,
        authorize_move: Authorize | None = None,
        realm: str = "api",
        clock: Callable[[], float] | None = None,
    ) -> None:
        if faults := _faults(prefix, sessions, verifier):
            raise ConfigurationError(faults)
        self._app = app
        self._sessions = sessions
        self._verifier = verifier
        self._authenticate = authenticate
        self._cookie = SessionCookie(cookie_name, origins, secure=cookie_secure)
        self._device_cookie = SessionCookie(f"{cookie_name}-device", origins, secure=cookie_secure)
        self._attempts: LoginAttempts | None = None
        if throttle is not None:
            chosen = LoginThrottle() if isinstance(throttle, str) else throttle
            self._attempts = LoginAttempts(chosen, sessions, self._device_cookie)
        self._clock = clock or verifier.clock
        self._drain = Drain()
        self._prefix = prefix
        self._revokes_session = revoke_session
        self._challenge = refuse(None, realm)
        self._routes: dict[
            tuple[str, str], Callable[[Scope, Receive], Awaitable[RouteResponse]]
        ] = {
            ("POST", "/login"): self._login,
            ("POST", "/refresh"): self._refresh,
            ("POST", "/logout"): self._logout,
            ("POST", "/logout-all"): self._logout_all,
            ("GET", "/sessions"): self._list,
            ("POST", "/revoke"): self._revoke,
        }
        if verifier.bridge is not None:
            from linqi.asgi.move_route import MoveRoute

            self._routes["POST", "/move"] = MoveRoute(
                sessions,
                self._cookie,
                authorize_move,
                caller=self._who,
                device=_device,
                answer=lambda pair, is_cookie: self._pair(pair, is_cookie=is_cookie),
            )
        self._methods = {path: method for method, path in self._routes}
        self.public = tuple(
            f"{prefix}{path}" for path in ("/login", "/refresh", "/logout", "/revoke")
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one of the routes, or pass the connection to the application."""
        path = self._path(scope)
        if scope["type"] != "http" or path is None:
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        is_one = path.startswith("/sessions/")
        allowed = "DELETE" if is_one else self._methods[path]
        if method != allowed:
            answer = RouteResponse(405, None, [(b"allow", allowed.encode())])
            await answer.send(send, await self._drain(scope, receive))
            return
        if self._prefix + path not in self.public and isinstance(scope.get("linqi"), Anonymous):
            # The middleware counts the path among its optional or public ones.
            self._sessions.events(refused(scope, 401, "no_token", "no token was presented"))
            await self._challenge.send(scope, receive, send, self._drain)
            return
        body = RequestBody(receive)
        try:
            for name in _SINGLE_HEADERS:
                find_single(scope["headers"], name)
            if is_one:
                answer = await self._end(scope, path.removeprefix("/sessions/"))
            else:
                answer = await self._routes[method, path](scope, body.receive)
        except Exception as error:  # noqa: BLE001 - every exception is reported here, once
            answer = refusal(error)
            if not isinstance(error, LinqiError):
                log_fault("a session route raised", error)
            if (event := failure_of(error, answer.status, scope)) is not None:
                self._sessions.events(event)
        answer = answer.in_format(scope)
        await answer.send(send, () if body.is_read else await self._drain(scope, receive))

    def _path(self, scope: Scope) -> str | None:
        """Return the route's path below the prefix, or None for a path of the application."""
        if scope["type"] != "http":
            return None
        path: str = scope["path"]
        root: str = scope.get("root_path", "")
        if root and path.startswith(root + "/"):
            path = path[len(root) :]
        if not path.startswith(self._prefix):
            return None
        path = path[len(self._prefix) :]
        is_one = path.startswith("/sessions/") and "/" not in path[len("/sessions/") :]
        return path if path in self._methods or is_one else None

    async def _login(self, scope: Scope, receive: Receive) -> RouteResponse:
        is_cookie = self._cookie.is_wanted(scope)
        if is_cookie:
            self._cookie.check(scope)
        form = await read_form(scope, receive)
        if not form.get("username") or "password" not in form:
            raise BodyFault(400, "username and password are needed")
        attempt = None
        if self._attempts is not None:
            attempt = await self._attempts.begin(scope, form, is_cookie=is_cookie)
            if attempt.wait:
                body = error_body("slow_down", "too many failed sign-ins")
                return RouteResponse(429, body, [retry_after(attempt.wait)])
        claims_at = await self._sessions.claims_instant()
        person = await authenticated(self._authenticate, form)
        if person is None:
            body = error_body("invalid_grant", "the name or the password is wrong")
            return RouteResponse(400, body, code="wrong_credentials")
        if attempt is not None:
            await attempt.take_back()
        pair = await self._sessions.sign_in(
            person.subject,
            claims=person.claims,
            scopes=person.scopes,
            device=form.get("device") or _device(scope),
            claims_at=claims_at,
        )
        token = None if attempt is None else await attempt.device_token(person.subject)
        return self._pair(pair, is_cookie=is_cookie, device_token=token)

    async def _refresh(self, scope: Scope, receive: Receive) -> RouteResponse:
        token, form, is_cookie = await self._presented(scope, receive, "refresh_token")
        if form.get("grant_type", "refresh_token") != "refresh_token":
            return RouteResponse(400, error_body("unsupported_grant_type", "only refresh_token is"))
        if token is None and is_cookie:  # the browser has no cookie: there is no session to refresh
            answer = error_body("invalid_grant", "sign in")
            return RouteResponse(400, answer, [outcome("absent")], code="no_session")
        if token is None:
            raise BodyFault(400, "no refresh token was presented")
        scopes = form["scope"].split() if "scope" in form else None
        try:
            pair = await self._sessions.refresh(token, scopes=scopes)
        except RefreshRefused as error:
            headers = [outcome(error.reason)]
            if error.reason == "scope":
                body = error_body("invalid_scope", "the session does not have these scopes")
                return RouteResponse(400, body, headers, "invalid_scope", error.reason)
            body = error_body("invalid_grant", "sign in again")
            return RouteResponse(400, body, headers, "session_ended", error.reason)
        return self._pair(pair, is_cookie=is_cookie)

    async def _logout(self, scope: Scope, receive: Receive) -> RouteResponse:
        token, _, is_cookie = await self._presented(scope, receive, "refresh_token")
        if token is not None:
            await self._sessions.revoke_refresh_token(token)
        return RouteResponse(204, None, [self._cookie.cleared()] if is_cookie else [])

    async def _logout_all(self, scope: Scope, receive: Receive) -> RouteResponse:
        verified = self._who(scope)
        await self._sessions.revoke_all(verified.identity, cause="logout")
        return RouteResponse(204, None, [self._cookie.cleared(), self._device_cookie.cleared()])

    async def _list(self, scope: Scope, receive: Receive) -> RouteResponse:
        verified = self._who(scope)
        rows = await self._sessions.sessions(verified.identity)
        listed = [
            {
                "session_id": row.session_id,
                "device": row.device,
                "started_at": row.started_at,
                "refreshed_at": row.rotated_at,
                "expires_at": row.expires_at,
                "ends_at": row.ends_at,
                "is_current": row.session_id == verified.session_id,
            }
            for row in rows
        ]
        return RouteResponse(200, {"sessions": listed})

    async def _end(self, scope: Scope, session_id: str) -> RouteResponse:
        verified = self._who(scope)
        # Text from a path reaches no store unless it can be a session's id.
        is_one = _SESSION_ID.fullmatch(session_id) is not None
        row = await self._sessions.find(session_id) if is_one else None
        if row is None or row.subject != verified.identity:
            return RouteResponse(404, error_body("not_found", "you have no such session"))
        await self._sessions.revoke(session_id, user=verified.identity, cause="logout")
        return RouteResponse(204, None)

    async def _revoke(self, scope: Scope, receive: Receive) -> RouteResponse:
        """Revoke a token (RFC 7009): 200 also for a foreign token, 503 if it cannot be stored.

        A token of these sessions without ``jti`` and ``sid`` is answered 400
        ``unsupported_token_type`` (section 2.2.1), because no revocation could name it.
        """
        form = await read_form(scope, receive)
        if "token" not in form:
            raise BodyFault(400, "token is needed")
        if not await self._sessions.revoke_refresh_token(form["token"]):
            try:
                if self._verifier.algorithm_of(form["token"]) == OPAQUE:
                    return RouteResponse(200, {})  # never ours, and no reason to ask its issuer
                verified = self._verifier.verify(form["token"])
            except TokenError:
                return RouteResponse(200, {})
            if self._is_ours(verified) and not await self._revoke_access(verified):
                message = "a token without jti and sid cannot be revoked"
                return RouteResponse(400, error_body("unsupported_token_type", message))
        return RouteResponse(200, {})

    async def _revoke_access(self, verified: Verified) -> bool:
        """Revoke an access token by its ``jti``, or its session; return False if it names neither.

        The session ends with `revoke_session`, and where the token has no ``jti``: only its session
        can be named then.
        """
        session_id, token_id = verified.session_id, verified.token_id
        if session_id is not None and (self._revokes_session or token_id is None):
            await self._sessions.revoke(session_id, user=verified.identity, cause="logout")
        elif token_id is not None:
            await self._sessions.revoke_access_token(token_id, verified.expires_at)
        else:
            return False
        return True

    def _who(self, scope: Scope) -> Verified:
        """Return the caller, who must have a token of the issuer whose sessions these are."""
        verified = scope.get("linqi")
        if not isinstance(verified, Verified):
            raise ConfigurationError(["SessionRoutes stands outside JWTMiddleware; put it inside"])
        if not self._is_ours(verified):
            raise ForeignToken("the token is of another issuer than the sessions")
        return verified

    def _is_ours(self, verified: Verified) -> bool:
        """Return whether `verified` is a token of these sessions (RFC 7519, section 4.1.2)."""
        return verified.own and verified.issuer == self._sessions.signer.issuer

    async def _presented(
        self, scope: Scope, receive: Receive, name: str
    ) -> tuple[str | None, dict[str, str], bool]:
        """Return the refresh token, the form, and whether the token was sent as a cookie."""
        has_body = find_header(scope["headers"], b"content-type") is not None
        form = await read_form(scope, receive) if has_body else {}
        if name in form:
            return form[name], form, False
        if not self._cookie.is_wanted(scope):
            return None, form, False
        self._cookie.check(scope)
        return self._cookie.read(scope), form, True

    def _pair(
        self, pair: TokenPair, *, is_cookie: bool, device_token: str | None = None
    ) -> RouteResponse:
        now, store_now = self._clock(), self._sessions.store.now()
        idle = pair.refresh_expires_at - store_now
        answer: dict[str, Any] = {
            "access_token": pair.access_token,
            "token_type": "Bearer",
            "expires_in": max(0, int(pair.access_expires_at - now)),
            "refresh_in": round(pair.refresh_in, 3),
            "refresh_token_timeout": max(0, int(idle)),
            "authorization_expires_in": max(0, int(pair.session_ends_at - store_now)),
            "sequence": pair.sequence,
            "scope": " ".join(pair.scopes),
        }
        headers = [
            outcome(pair.outcome),
            (b"x-refresh-sequence", str(pair.sequence).encode()),
        ]
        if is_cookie:
            headers.append(self._cookie.set(pair.refresh_token, idle))
        else:
            answer["refresh_token"] = pair.refresh_token
        if device_token is not None and self._attempts is not None:
            if is_cookie:
                seconds = self._attempts.throttle.device_lifetime
                headers.append(self._device_cookie.set(device_token, seconds))
            else:
                answer["device_token"] = device_token
        return RouteResponse(200, answer, headers)


def _device(scope: Scope) -> str:
    """Return the ``User-Agent`` of the request."""
    return (find_header(scope["headers"], b"user-agent") or b"").decode("latin-1")


def _faults(prefix: str, sessions: Sessions, verifier: Verifier) -> list[str]:
    faults = []
    if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
        faults.append(f"prefix is {prefix!r}, expected '' or such as '/auth'")
    if not any(own.own and own.issuer == sessions.signer.issuer for own in verifier.issuers):
        faults.append(
            "the verifier does not trust the signer of sessions; use Verifier.trusting(signer)"
        )
    return faults
