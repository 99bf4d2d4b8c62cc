"""What the shop of each framework's page does, asked over HTTP and WebSocket."""

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import websockets.sync.client
from websockets.exceptions import InvalidStatus

from example_files import EXAMPLES, ROOT, shown_on

PASSWORDS = {"alice": "correct horse", "root": "battery staple"}


def check_page(name: str) -> None:
    """Check that the page of a framework shows every file of its example."""
    shown = [path for path, _ in shown_on(ROOT / "docs" / "frameworks" / f"{name}.md")]
    files = {
        str(path.relative_to(ROOT))
        for path in (EXAMPLES / "frameworks" / name).rglob("*")
        if path.suffix in (".py", ".toml") and path.name != "__init__.py"
    }
    assert set(shown) == files


class Caller:
    """A user who is signed in."""

    def __init__(self, client: httpx2.Client, name: str) -> None:
        self._client = client
        answer = client.post("/login", data={"username": name, "password": PASSWORDS[name]})
        self._adopt(answer)

    def _adopt(self, answer: httpx2.Response) -> None:
        tokens: dict[str, Any] = answer.raise_for_status().json()
        self.refresh_token: str = tokens["refresh_token"]
        self.headers = {"Authorization": f"Bearer {tokens['access_token']}"}

    def ask(self, method: str, path: str, **body: Any) -> httpx2.Response:
        """Send a request with the token."""
        more = {"json": body} if body else {}
        return self._client.request(method, path, headers=self.headers, **more)

    def refresh(self) -> None:
        """Exchange the refresh token."""
        self._adopt(self._client.post("/refresh", json={"refresh_token": self.refresh_token}))


class Shop:
    """A shop that is served, and the paths of its two accounts."""

    def __init__(self, url: str, account_of: Callable[[str], str] = str) -> None:
        self.url = url
        self.account_of = account_of
        self.client = httpx2.Client(base_url=url, timeout=30)

    def caller(self, name: str) -> Caller:
        """Sign a user in."""
        return Caller(self.client, name)

    @contextlib.contextmanager
    def socket(self, caller: Caller | None) -> Iterator[Any]:
        """Open the shop's WebSocket."""
        headers = {} if caller is None else caller.headers
        address = self.url.replace("http", "ws", 1) + "/ws"
        connect = websockets.sync.client.connect
        with connect(address, additional_headers=headers) as socket:
            yield socket

    def check_callers(self) -> None:
        """Check strangers, public and optional routes, scopes, typed claims, and a 404."""
        refused = self.client.get("/orders", headers={"Accept-Language": "zh-CN"})
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"] == 'Bearer realm="api"'
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert refused.json()["detail"] == "请先登录"
        assert self.client.get("/nowhere").status_code == 401
        assert self.client.get("/health").json() == {"ok": True}
        assert self.client.get("/hello").text.strip('"') == "Hello, stranger"
        alice = self.caller("alice")
        greeting = alice.ask("GET", "/hello").text.strip('"')
        assert greeting == f"Hello, {self.account_of('alice')}"
        assert alice.ask("GET", "/me").json() == {"user": "alice", "role": "customer"}
        assert alice.ask("GET", "/orders").json() == [{"id": 1}]
        assert alice.ask("GET", "/nowhere").status_code == 404
        lacking = alice.ask("DELETE", f"/accounts/{self.account_of('root')}")
        assert lacking.status_code == 403
        challenge = lacking.headers["WWW-Authenticate"]
        assert 'error="insufficient_scope", scope="admin"' in challenge
        assert lacking.headers["Content-Type"] == "application/problem+json"
        assert lacking.json()["scope"] == "admin"

    def check_accounts(self) -> None:
        """Check a changed role, a listed and ended session, a new password, a disabled account."""
        root, phone, laptop = self.caller("root"), self.caller("alice"), self.caller("alice")
        account = f"/accounts/{self.account_of('alice')}"
        assert root.ask("PATCH", account, role="staff").status_code == 204
        stale = phone.ask("GET", "/me")
        assert stale.status_code == 401
        assert 'error="invalid_token"' in stale.headers["WWW-Authenticate"]
        phone.refresh()
        laptop.refresh()
        assert phone.ask("GET", "/me").json()["role"] == "staff"
        listed = root.ask("GET", f"{account}/sessions").json()
        assert listed["cursor"] == ""
        assert root.ask("GET", f"{account}/sessions?cursor=x").status_code == 400
        ids = [row["id"] for row in listed["sessions"]]
        third = self.caller("alice")
        later = root.ask("GET", f"{account}/sessions").json()["sessions"]
        (new,) = [row["id"] for row in later if row["id"] not in ids]
        assert root.ask("DELETE", f"{account}/sessions/{new}").status_code == 204
        assert third.ask("GET", "/orders").status_code == 401
        changed = phone.ask("PUT", "/me/password", password=PASSWORDS["alice"])
        assert changed.status_code == 204
        assert laptop.ask("GET", "/orders").status_code == 401
        assert phone.ask("GET", "/orders").status_code == 200
        assert root.ask("DELETE", account).status_code == 204
        assert phone.ask("GET", "/orders").status_code == 401
        again = {"username": "alice", "password": PASSWORDS["alice"]}
        assert self.client.post("/login", data=again).status_code == 400

    def check_socket(self) -> None:
        """Check that a stranger is refused and a caller is answered."""
        root = self.caller("root")
        with self.socket(root) as socket:
            socket.send("hi")
            assert socket.recv(timeout=20) == "root: hi"
        try:
            with self.socket(None):
                raise AssertionError("a stranger's socket was accepted")
        except InvalidStatus as error:
            assert error.response.status_code in (401, 403)  # noqa: PT017 - the servers differ


@contextlib.contextmanager
def shop_at(url: str, account_of: Callable[[str], str] = str) -> Iterator[Shop]:
    """Return the shop at `url`; its connections are closed afterwards."""
    shop = Shop(url, account_of)
    with shop.client:
        yield shop


def document_of(shop: Shop, path: str) -> dict[str, Any]:
    """Return the OpenAPI document that the shop serves."""
    document: dict[str, Any] = json.loads(shop.client.get(path).raise_for_status().text)
    return document
