"""The sign-in: OAuth endpoints of the official SDK, tokens and sessions of linqi."""

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass
from html import escape

from mcp.server.auth.provider import (
    AuthorizationCode,
    AuthorizationParams,
    AuthorizeError,
    OAuthAuthorizationServerProvider,
    RefreshToken,
    TokenError,
    construct_redirect_uri,
)
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from starlette.responses import HTMLResponse, RedirectResponse

from linqi import Sessions
from linqi.errors import RefreshRefused

SCOPES = ["notes:read", "notes:write"]
SALT = b"one for each user"
USERS = {  # your database
    name: hashlib.scrypt(password.encode(), salt=SALT, n=2**14, r=8, p=1)
    for name, password in {"alice": "correct horse", "mallory": "battery staple"}.items()
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",  # no clickjacking
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}
PAGE = """<!doctype html><html lang="en"><title>Sign in</title><meta charset="utf-8">
<p>{said}<p><b>{client}</b> at <b>{place}</b> wants: {scopes}</p>
<form method="post"><input type="hidden" name="asked" value="{asked}">
<label>Name <input name="username" autocomplete="username"></label>
<label>Password <input name="password" type="password" autocomplete="current-password"></label>
<button>Sign in and allow</button></form></html>"""


def check_password(name, password):
    """Return whether the password is that of the user; slow, so call it in a thread."""
    known = USERS.get(name, bytes(64))
    return hmac.compare_digest(
        hashlib.scrypt(password.encode(), salt=SALT, n=2**14, r=8, p=1), known
    )


def place_of(uri):
    """Return scheme and host: evil://bank.example is not https://bank.example."""
    return f"{uri.scheme}://{uri.host}" if uri.host else f"{uri.scheme}:"


@dataclass
class Asked:
    """An authorization request that waits for its user."""

    client: OAuthClientInformationFull
    params: AuthorizationParams
    ends: float


class SignIn(OAuthAuthorizationServerProvider[AuthorizationCode, RefreshToken, None]):
    """Signs users of any client in, for the resource at `resource` alone.

    Registrations, requests and codes are in the memory of this process; sessions are in the store.
    """

    def __init__(self, sessions: Sessions, issuer: str, resource: str):
        self.sessions, self.issuer, self.resource = sessions, issuer, resource
        self.clients, self.asked, self.codes = {}, {}, {}

    async def get_client(self, client_id):
        """Return a registered client."""
        return self.clients.get(client_id)

    async def register_client(self, client_info):
        """Register a client, which may later ask for more scopes than at first."""
        client_info.scope = " ".join(SCOPES)
        self.clients[client_info.client_id] = client_info

    async def authorize(self, client, params):
        """Keep a request, and return the page at which its user signs in."""
        if params.resource not in (None, self.resource):
            raise AuthorizeError("invalid_target", f"expected {self.resource}")
        self._forget()
        asked = secrets.token_urlsafe(32)
        self.asked[asked] = Asked(client, params, time.time() + 600)
        return f"{self.issuer}login?asked={asked}"

    def _forget(self):
        """Drop what is over, so that requests that no user finishes do not fill the memory."""
        now = time.time()
        self.asked = {name: one for name, one in self.asked.items() if one.ends > now}
        self.codes = {name: one for name, one in self.codes.items() if one.expires_at > now}

    async def login(self, request):
        """Show the page; on a right password send the browser back to the client with a code."""
        form = request.query_params if request.method == "GET" else await request.form()
        name = form.get("asked", "")
        waiting = self.asked.get(name)
        if waiting is None or waiting.ends < time.time():
            return HTMLResponse("This sign-in is over. Begin again in your client.", 400, HEADERS)
        said = ""
        if request.method == "POST":
            user, password = (str(form.get(field, "")) for field in ("username", "password"))
            if await asyncio.to_thread(check_password, user, password):
                return self.allowed(name, user)
            said = "Wrong name or password."
        page = PAGE.format(
            said=said,
            client=escape(waiting.client.client_name or "A program"),
            place=escape(place_of(waiting.params.redirect_uri)),
            scopes=escape(", ".join(waiting.params.scopes or SCOPES[:1])),
            asked=escape(name),
        )
        return HTMLResponse(page, 401 if said else 200, HEADERS)

    def allowed(self, name, user):
        """Return the redirect to the client, with a code that counts once, for a minute."""
        waiting = self.asked.pop(name, None)
        if waiting is None:
            return HTMLResponse("This sign-in is over.", 400, HEADERS)
        params, code = waiting.params, secrets.token_urlsafe(32)
        self.codes[code] = AuthorizationCode(
            code=code,
            scopes=params.scopes or SCOPES[:1],
            expires_at=time.time() + 60,
            client_id=waiting.client.client_id,
            subject=user,
            **params.model_dump(include={"code_challenge", "redirect_uri", "resource"}),
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
        )
        place = construct_redirect_uri(
            str(params.redirect_uri), code=code, state=params.state, iss=self.issuer
        )
        return RedirectResponse(place, 303, HEADERS)

    async def load_authorization_code(self, client, authorization_code):
        """Return a code; the SDK checks its client, its end, and PKCE."""
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(self, client, authorization_code):
        """Begin a session for a code, which is spent."""
        if self.codes.pop(authorization_code.code, None) is None:
            raise TokenError("invalid_grant", "the code is spent")
        pair = await self.sessions.sign_in(
            authorization_code.subject,
            claims={"client_id": client.client_id},
            scopes=authorization_code.scopes,
            device=client.client_name or "",
        )
        return tokens(pair)

    async def load_refresh_token(self, client, refresh_token):
        """Let the store decide about a refresh token, in one step with its rotation."""
        return RefreshToken(token=refresh_token, client_id=client.client_id, scopes=SCOPES)

    async def exchange_refresh_token(self, client, refresh_token, scopes):
        """Rotate a refresh token; one that another client presents ends its session."""
        fewer = None if scopes == SCOPES else scopes
        try:
            pair = await self.sessions.refresh(refresh_token.token, scopes=fewer)
        except RefreshRefused as error:
            raise TokenError("invalid_grant", "sign in again") from error
        session = await self.sessions.find(pair.session_id)
        if session is None or json.loads(session.claims)["client_id"] != client.client_id:
            await self.sessions.revoke(pair.session_id, cause="reuse")
            raise TokenError("invalid_grant", "sign in again")
        return tokens(pair)


def tokens(pair):
    """Return a pair as the SDK sends it."""
    return OAuthToken(
        access_token=pair.access_token,
        expires_in=max(1, int(pair.access_expires_at - time.time())),
        refresh_token=pair.refresh_token,
        scope=" ".join(pair.scopes),
    )
