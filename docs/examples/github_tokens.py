"""An API for tokens that users of a GitHub OAuth app got by signing in to it."""

import os
from datetime import datetime

import httpx2

from linqi import Introspection, JWTMiddleware, Verifier
from linqi.errors import FetchFailed

API = os.environ.get("GITHUB_API", "https://api.github.com")
CLIENT_ID = os.environ.get("GITHUB_CLIENT_ID", "CLIENT-ID")
CLIENT_SECRET = os.environ.get("GITHUB_CLIENT_SECRET", "CLIENT-SECRET")


async def ask_github(token):
    """Return the claims of a token that this OAuth app issued; None for any other token.

    This request needs the secret of the app, and GitHub answers 404 for tokens of other apps.
    `GET /user` would accept those too: an app that a user once tried could then act for him here.
    """
    async with httpx2.AsyncClient(auth=(CLIENT_ID, CLIENT_SECRET)) as client:
        answer = await client.post(
            f"{API}/applications/{CLIENT_ID}/token",
            json={"access_token": token},
            headers={"accept": "application/vnd.github+json"},
        )
    if answer.status_code in (404, 422):  # unknown, revoked or of another app; of no valid form
        return None
    if answer.status_code != 200:
        wait = answer.headers.get("retry-after", "")
        seconds = float(wait) if wait.isdigit() else None
        raise FetchFailed(f"GitHub answered with {answer.status_code}", retry_after=seconds)
    found = answer.json()
    if found["token"] != token:
        raise FetchFailed("GitHub answered about another token")
    claims = {
        "sub": str(found["user"]["id"]),  # the login can be renamed, and taken by another user
        "username": found["user"]["login"],
        "aud": found["app"]["client_id"],
        "scope": " ".join(found["scopes"]),
    }
    if found["expires_at"]:
        claims["exp"] = int(datetime.fromisoformat(found["expires_at"]).timestamp())
    return claims


github = Introspection("https://github.com", ask=ask_github).trust(
    CLIENT_ID, prefixes=["gho_", "ghu_"]
)


async def api(scope, receive, send):
    """Return who calls."""
    if scope["type"] == "lifespan":
        return
    body = scope["linqi"].claims["username"].encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


app = JWTMiddleware(api, Verifier(github))
