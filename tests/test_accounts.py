"""A changed password, a disabled account and a changed role, as the guide has them."""

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest

from asgi import served
from linqi import JWTMiddleware, Key, Person, SessionRoutes, Sessions, Signer, SQLiteStore, Verifier
from linqi.client.httpx2 import RefreshingAuth
from linqi.client.tokens import tokens_of
from linqi.events import SessionRefreshed, TokenRefused
from test_examples import client_of, load

KEY, SECRET = Key.generate("ES256"), Key.generate("HS256")


async def test_the_example_of_accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Role, list, password, disabled account: each takes effect with the next request."""
    monkeypatch.chdir(tmp_path)
    module = load("accounts")
    await module.sessions.start()
    async with client_of(module.app) as client:

        async def sign_in(name: str, password: str) -> dict[str, Any]:
            form = {"username": name, "password": password}
            answer: dict[str, Any] = (await client.post("/login", json=form)).json()
            return answer

        def bearer(pair: dict[str, Any]) -> dict[str, str]:
            return {"Authorization": f"Bearer {pair['access_token']}"}

        root = await sign_in("root", "battery staple")
        here, there = [await sign_in("alice", "correct horse") for _ in range(2)]
        assert (await client.get("/me", headers=bearer(here))).json()["role"] == "clerk"
        url = "/users/alice/role"
        assert (await client.post(url, json={"role": "x"}, headers=bearer(here))).status_code == 403
        changed = await client.post(url, json={"role": "admin"}, headers=bearer(root))
        assert changed.status_code == 204
        refused = await client.get("/me", headers=bearer(here))
        assert refused.status_code == 401
        assert 'error="invalid_token"' in refused.headers["www-authenticate"]
        here = (await client.post("/refresh", json={"refresh_token": here["refresh_token"]})).json()
        assert (await client.get("/me", headers=bearer(here))).json()["role"] == "admin"

        asked = {"password": "better horse"}
        assert (await client.post("/password", json=asked, headers=bearer(here))).is_success
        gone = await client.post("/refresh", json={"refresh_token": there["refresh_token"]})
        assert gone.status_code == 400
        assert (await client.get("/me", headers=bearer(here))).status_code == 200
        for wrong in ("correct horse", "pásswörd"):
            assert (await sign_in("alice", wrong))["error"] == "invalid_grant"
        await sign_in("alice", "better horse")

        pages, cursor = [], ""
        while not pages or cursor:
            listing = f"/users/alice/sessions?cursor={cursor}"
            page = (await client.get(listing, headers=bearer(root))).json()
            pages.append([row["cause"] for row in page["sessions"]])
            cursor = page["cursor"]
        assert pages == [["", ""], ["password"]]
        listing = "/users/alice/sessions?cursor=x"
        assert (await client.get(listing, headers=bearer(root))).json()["error"] == "invalid_cursor"

        assert (await client.post("/users/alice/disable", headers=bearer(root))).is_success
        assert (await client.get("/me", headers=bearer(here))).status_code == 401
        assert "error" in await sign_in("alice", "better horse")
    await module.sessions.close()


class Worker:
    """One worker: its own middleware and sessions, over the file that all share."""

    def __init__(self, file: Path, roles: dict[str, str]) -> None:
        self.heard: list[Any] = []
        self.roles = roles
        signer = Signer(KEY, issuer="https://shop.example", audience="shop")
        self.sessions = Sessions(SQLiteStore(file), signer, SECRET, authorize=self.authorize)
        is_revoked = self.sessions.revocations.is_revoked
        self.verifier = Verifier.trusting(signer, is_revoked=is_revoked)
        routes = SessionRoutes(self.api, self.sessions, self.verifier, self.authenticate)
        self.app = JWTMiddleware(
            routes,
            self.verifier,
            public=routes.public,
            services=[self.sessions],
            hooks=[self.heard.append],
        )

    async def authenticate(self, form: Any) -> Person:
        """Let everybody in."""
        return Person(subject=form["username"], claims={"role": self.roles[form["username"]]})

    async def authorize(self, row: Any) -> dict[str, str]:
        """Return the role of now."""
        return {"role": self.roles[row.subject]}

    async def api(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer with the role in the token."""
        if scope["type"] == "lifespan":
            raise RuntimeError("no lifespan")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        role = scope["user"].claims["role"]
        await send({"type": "http.response.body", "body": role.encode()})

    def told(self, kind: type[Any]) -> list[Any]:
        """Return the events of one kind."""
        return [event for event in self.heard if isinstance(event, kind)]


async def test_a_python_client_goes_on_with_the_new_role_after_one_refresh(tmp_path: Path) -> None:
    """Changed in one worker: ten requests to another share one refresh, and none sees a 401."""
    roles = {"alice": "clerk"}
    changer, server = (Worker(tmp_path / "sessions.db", roles) for _ in range(2))
    async with served(changer.app), served(server.app) as port:
        site = f"http://127.0.0.1:{port}"
        async with httpx2.AsyncClient(base_url=site) as client:
            form = {"username": "alice", "password": "x"}
            tokens = tokens_of((await client.post("/login", json=form)).json(), None)
            old = tokens.access_token
            auth = RefreshingAuth(f"{site}/refresh", tokens)

            async def ask() -> str:
                answer = await client.get("/me", auth=auth)
                return f"{answer.status_code} {answer.text}"

            assert await ask() == "200 clerk"
            roles["alice"] = "admin"
            await changer.sessions.refresh_claims("alice")
            async with asyncio.timeout(30):  # the feed
                while not server.sessions.revocations.latest_mark:
                    await asyncio.sleep(0.01)
            assert set(await asyncio.gather(*(ask() for _ in range(10)))) == {"200 admin"}
            refused = server.told(TokenRefused)
            assert {event.code for event in refused} == {"stale_claims"}
            assert len(server.told(SessionRefreshed)) == 1
            again = await client.get("/me", headers={"Authorization": f"Bearer {old}"})
            assert again.status_code == 401
            assert await ask() == "200 admin"
            assert len(server.told(SessionRefreshed)) == 1
