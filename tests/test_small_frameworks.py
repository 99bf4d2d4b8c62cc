"""The examples of Falcon, BlackSheep and Sanic: one shop, one test, a real server."""

import contextlib
import copy
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2
import pytest
import uvicorn

from example_files import copied, imported
from framework_shops import check_page

FRAMEWORKS = ("falcon", "blacksheep", "sanic")


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve `app` on real uvicorn in a thread; return the URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module", params=FRAMEWORKS)
def served_shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ModuleType, str]]:
    """Return the example of each framework in turn, and its URL."""
    folder = tmp_path_factory.mktemp(request.param)
    with contextlib.chdir(folder):  # the file's relative paths start there
        shop = imported(copied(f"frameworks/{request.param}", folder) / "shop.py")
        with serving(shop.app) as url:
            yield shop, url
    assert not shop.Database.is_open, "the application's own lifespan did not end"


@pytest.fixture
def client(
    served_shop: tuple[ModuleType, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[httpx2.Client]:
    """Return a client of the example, whose users are as the page has them."""
    shop, url = served_shop
    users = copy.deepcopy(shop.USERS)
    monkeypatch.setattr(shop, "USERS", users | {"bob": copy.deepcopy(users["alice"])})
    with httpx2.Client(base_url=url) as client:
        client.get("/health").raise_for_status()  # the application has started
        yield client


def sign_in(client: httpx2.Client, name: str, password: str) -> dict[str, Any]:
    """Sign in; return the tokens, with the header that a request needs."""
    answer = client.post("/login", data={"username": name, "password": password})
    tokens: dict[str, Any] = answer.raise_for_status().json()
    return tokens | {"headers": {"Authorization": f"Bearer {tokens['access_token']}"}}


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_the_page_shows_the_files_that_the_tests_run(name: str) -> None:
    """Every file of the example is on the page."""
    check_page(name)


def test_a_stranger_is_refused_and_a_caller_is_known(client: httpx2.Client) -> None:
    """401 with the challenge in the chosen format, the framework's own 404, the public path."""
    refused = client.get("/me", headers={"Accept-Language": "zh-CN"})
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == 'Bearer realm="api"'
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.json()["detail"] == "请先登录"
    assert (client.get("/health")).json() == {"ok": True}
    alice = sign_in(client, "alice", "correct horse")
    me = client.get("/me", headers=alice["headers"])
    assert me.json() == {"user": "alice", "role": "customer"}
    assert (client.get("/nowhere", headers=alice["headers"])).status_code == 404
    wrong = client.post("/login", data={"username": "alice", "password": "wrong"})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "wrong_credentials")
    rotated = client.post("/refresh", data={"refresh_token": alice["refresh_token"]})
    renewed = {"Authorization": f"Bearer {rotated.json()['access_token']}"}
    assert renewed != alice["headers"]
    assert (client.get("/me", headers=renewed)).status_code == 200


def test_a_missing_scope_is_403_in_the_format(client: httpx2.Client) -> None:
    """A hook of the framework sends the same response as the guard would."""
    alice = sign_in(client, "alice", "correct horse")
    assert (client.get("/orders", headers=alice["headers"])).json() == [{"id": 1}]
    lacking = client.get("/accounts/alice", headers=alice["headers"])
    assert lacking.status_code == 403
    assert 'error="insufficient_scope", scope="admin"' in lacking.headers["WWW-Authenticate"]
    assert lacking.headers["Content-Type"] == "application/problem+json"
    assert lacking.headers["Cache-Control"] == "no-store"
    assert lacking.json()["code"] == "insufficient_scope"
    assert lacking.json()["scope"] == "admin"
    head = client.head("/accounts/alice", headers=alice["headers"])
    assert head.status_code in (403, 404, 405)


def test_an_account_is_run_by_one_call_each(client: httpx2.Client) -> None:
    """Role changed, password changed, one session ended, account disabled."""
    root = sign_in(client, "root", "battery staple")
    phone = sign_in(client, "bob", "correct horse")
    laptop = sign_in(client, "bob", "correct horse")
    page = client.get("/accounts/bob", headers=root["headers"])
    assert len(page.json()["sessions"]) == 2

    hostile = client.get("/accounts/bob", params={"cursor": "x"}, headers=root["headers"])
    assert hostile.status_code == 400
    unknown = client.delete("/accounts/nobody", headers=root["headers"])
    assert unknown.status_code == 404

    changed = client.patch("/accounts/bob", json={"role": "owner"}, headers=root["headers"])
    assert changed.status_code == 204
    stale = client.get("/me", headers=phone["headers"])
    assert stale.status_code == 401
    assert 'error="invalid_token"' in stale.headers["WWW-Authenticate"]
    phone = refreshed(client, phone)
    laptop = refreshed(client, laptop)
    me = client.get("/me", headers=phone["headers"])
    assert me.json() == {"user": "bob", "role": "owner"}

    new = {"password": "new horse"}
    answer = client.put("/me/password", json=new, headers=phone["headers"])
    assert answer.status_code == 204
    assert (client.get("/me", headers=laptop["headers"])).status_code == 401
    assert (client.get("/me", headers=phone["headers"])).status_code == 200

    (row,) = (client.get("/accounts/bob", headers=root["headers"])).json()["sessions"]
    one = f"/accounts/bob/sessions/{row['id']}"
    assert (client.delete(one, headers=root["headers"])).status_code == 204
    assert (client.get("/me", headers=phone["headers"])).status_code == 401

    tablet = sign_in(client, "bob", "new horse")
    client.delete("/accounts/bob", headers=root["headers"])
    assert (client.get("/me", headers=tablet["headers"])).status_code == 401
    again = client.post("/login", data={"username": "bob", "password": "new horse"})
    assert again.status_code == 400


def refreshed(client: httpx2.Client, tokens: dict[str, Any]) -> dict[str, Any]:
    """Return new tokens of the same session."""
    form = {"refresh_token": tokens["refresh_token"]}
    found: dict[str, Any] = (client.post("/refresh", data=form)).raise_for_status().json()
    return found | {"headers": {"Authorization": f"Bearer {found['access_token']}"}}


def test_the_lifespan_of_the_application_runs(
    client: httpx2.Client, served_shop: tuple[ModuleType, str]
) -> None:
    """What the framework opens at its start is open; the fixture sees that it is closed."""
    assert client.get("/health").json() == {"ok": True}
    assert served_shop[0].Database.is_open


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_the_unit_tests_of_the_page_pass(name: str, tmp_path: Path) -> None:
    """As a reader runs them: pytest in the folder, with the plugin of linqi."""
    copied(f"frameworks/{name}", tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "linqi.testing.pytest_plugin"]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    run = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout
    assert "5 passed" in run.stdout
