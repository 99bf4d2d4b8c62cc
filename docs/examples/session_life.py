"""The life of a session: what its client sees in each state, with sliding and with dual tokens.

python session_life.py    # no server, no waiting: the clock is moved
"""

import asyncio

import httpx2

from linqi import (
    JWTMiddleware,
    Key,
    MemoryStore,
    Person,
    SessionRoutes,
    Sessions,
    Signer,
    SlidingRenewal,
    Verifier,
)
from linqi.testing import Clock

MINUTE, HOUR, DAY = 60, 3600, 86_400
PASSWORD = {"username": "alice", "password": "correct horse"}

clock = Clock()
key = Key.generate("ES256")
signer = Signer(key, issuer="https://shop.example", audience="shop", clock=clock)
sessions = Sessions(MemoryStore(clock=clock), signer, Key.generate("HS256"))
is_revoked = sessions.revocations.is_revoked
verifier = Verifier.trusting(signer, is_revoked=is_revoked)
renewal = SlidingRenewal(signer, is_revoked=is_revoked)


async def api(scope, receive, send):
    """Answer 200."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"orders"})


async def authenticate(form):
    """Know one user; a real one checks a slow hash in a thread."""
    return Person(subject=form["username"]) if form["password"] == PASSWORD["password"] else None


def client_of(app):
    """Return a client that calls `app` in this process."""
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app), base_url="https://shop.example"
    )


routes = SessionRoutes(api, sessions, verifier, authenticate)
dual = client_of(JWTMiddleware(routes, verifier, public=routes.public))
sliding = client_of(JWTMiddleware(api, verifier, renewal=renewal))


def seen(state, response):
    """Print one state: the status, and the header or the code that tells it."""
    fields = response.headers
    told = ""
    if "x-refresh-token" in fields:
        told = "X-Refresh-Token"
    elif "x-refresh-outcome" in fields:
        told = f"X-Refresh-Outcome: {fields['x-refresh-outcome']}"
    elif response.status_code == 401:
        told = "{error}: {error_description}".format(**response.json())
    print(f"{state:<42} {response.status_code} {told}".rstrip())


async def call(client, token):
    """Ask for the orders."""
    return await client.get("/orders", headers={"Authorization": f"Bearer {token}"})


async def refresh(pair):
    """Present the refresh token."""
    return await dual.post("/refresh", json={"refresh_token": pair["refresh_token"]})


async def sign_in():
    """Return the pair of a new session."""
    return (await dual.post("/login", json=PASSWORD)).json()


async def show_sliding():
    """Show one token that renews itself."""
    first = renewal.start("alice")
    seen("sliding: after sign-in", await call(sliding, first.token))
    clock.advance(first.refresh_in + 1)
    near = await call(sliding, first.token)
    seen("sliding: near expiry", near)
    again = await call(sliding, first.token)
    seen("sliding: the same request again", again)
    same = again.headers["x-refresh-token"] == near.headers["x-refresh-token"]
    print(f"{'sliding: its successor is the same token':<42} {same}")
    token = again.headers["x-refresh-token"]
    clock.advance(15 * MINUTE)
    seen("sliding: no request until exp", await call(sliding, token))

    token = renewal.start("alice").token
    for _ in range(8 * HOUR // (4 * MINUTE)):
        clock.advance(4 * MINUTE)
        last = await call(sliding, token)
        token = last.headers.get("x-refresh-token", token)
        if last.status_code != 200:
            break
    seen("sliding: 8 h after sign-in, at the latest", last)

    pair = await sign_in()
    seen("sliding: a session of both kinds", await call(sliding, pair["access_token"]))
    await dual.post("/logout", json={"refresh_token": pair["refresh_token"]})
    seen("sliding: after its sign-out", await call(sliding, pair["access_token"]))


async def show_dual():
    """Show an access token, and a refresh token that rotates."""
    login = await dual.post("/login", json=PASSWORD)
    seen("dual: sign-in", login)
    first = login.json()
    clock.advance(first["refresh_in"] + 1)
    rotated = await refresh(first)
    seen("dual: refresh", rotated)
    replayed = await refresh(first)
    seen("dual: the same again, within 10 s", replayed)
    same = replayed.json()["refresh_token"] == rotated.json()["refresh_token"]
    print(f"{'dual: its refresh token is the same':<42} {same}")
    clock.advance(HOUR)
    recovered = await refresh(first)
    seen("dual: the same later, the reply was lost", recovered)
    seen("dual: the superseded token, so reuse", await refresh(rotated.json()))
    seen("dual: the session's other refresh token", await refresh(recovered.json()))
    seen("dual: its access token", await call(dual, recovered.json()["access_token"]))

    pair = await sign_in()
    clock.advance(HOUR)
    seen("dual: the access token at its exp", await call(dual, pair["access_token"]))
    clock.advance(7 * DAY)
    seen("dual: unused for 7 days", await refresh(pair))

    pair = await sign_in()
    await dual.post("/logout", json={"refresh_token": pair["refresh_token"]})
    seen("dual: the access token after sign-out", await call(dual, pair["access_token"]))
    seen("dual: refresh after sign-out", await refresh(pair))

    pair = await sign_in()
    await sessions.password_changed("alice")
    seen("dual: the access token, password changed", await call(dual, pair["access_token"]))
    seen("dual: refresh, password changed", await refresh(pair))

    pair = await sign_in()
    for _ in range(31):
        clock.advance(DAY)
        last = await refresh(pair)
        if last.status_code != 200:
            break
        pair = last.json()
    seen("dual: 30 days after sign-in, at the latest", last)


async def main():
    """Show both."""
    await sessions.start()
    try:
        await show_sliding()
        await show_dual()
    finally:
        await sessions.close()


if __name__ == "__main__":
    asyncio.run(main())
