"""What the move of the shop keeps, and what it refuses: in one process, with the clock moved."""

import importlib
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path

import jwt
import pytest
from fastapi.testclient import TestClient

HERE = Path(__file__).parent
HOUR, DAY = 3600, 86_400
PASSWORD = {"password": "correct horse"}


class Shop:
    """The shop before and after, each with a test client."""

    def __init__(self, secret, before, after):
        self.secret, self.before, self.after = secret, before, after

    def old_token(self, name="alice", now=None, **claims):
        """Return a token as before.py makes it, or with other claims."""
        now = int(time.time() if now is None else now)
        made = {"sub": name, "role": "customer", "iat": now, "exp": now + DAY} | claims
        return jwt.encode(made, self.secret, algorithm="HS256")

    def basket(self, token):
        """Open the basket at after.py."""
        return self.after.get("/basket", headers={"Authorization": f"Bearer {token}"})

    def moved(self, token):
        """Return the successor of an old token."""
        return self.basket(token).headers["X-Refresh-Token"]

    def sign_out(self, token):
        """Post the sign-out at after.py."""
        answer = self.after.post("/logout", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 204


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a copy of the story with keys of its own."""
    made = tmp_path_factory.mktemp("story") / "shop"
    shutil.copytree(HERE, made, ignore=shutil.ignore_patterns("__pycache__"))
    for arguments in ([], ["--alg", "HS256", "--out", "refresh.json"]):
        command = [sys.executable, "-m", "linqi", "keygen", *arguments]
        subprocess.run(command, cwd=made, check=True, capture_output=True)
    return made


@pytest.fixture
def shop(folder, monkeypatch):
    """Start both shops, with one secret and a bridge of 40 days."""
    secret = secrets.token_hex(32)
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 40 * DAY))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SECRET_KEY", secret)
    monkeypatch.setenv("LINQI_BRIDGE__UNTIL", until)
    apps = [importlib.reload(importlib.import_module(name)).app for name in ("before", "after")]
    with TestClient(apps[0]) as before, TestClient(apps[1]) as after:
        yield Shop(secret, before, after)


def test_a_customer_of_the_old_shop_goes_on(shop):
    """The token of before.py opens after.py, and its successor needs no bridge."""
    answer = shop.before.post("/login", data={"username": "alice"} | PASSWORD)
    first = shop.basket(answer.json()["access_token"])
    assert first.json() == {"customer": "alice", "role": "customer"}
    second = shop.basket(first.headers["X-Refresh-Token"])
    assert second.json() == first.json()
    assert "X-Refresh-Token" not in second.headers


def test_signing_in_needs_the_password(shop):
    """And starts a session of the new kind."""
    right = shop.after.post("/login", data={"username": "alice"} | PASSWORD)
    assert shop.basket(right.json()["access_token"]).status_code == 200
    wrong = shop.after.post("/login", data={"username": "alice", "password": "guess"})
    assert wrong.status_code == 400


def test_a_copied_old_token_ends_with_the_session(shop):
    """The old shop accepted it for 24 h; after a sign-out with either token both are refused."""
    for signs_out_with in (0, 1):
        old = shop.old_token(jti=str(signs_out_with))
        tokens = old, shop.moved(old)
        shop.sign_out(tokens[signs_out_with])
        assert [shop.basket(token).status_code for token in tokens] == [401, 401]
    assert shop.before.get("/basket", headers={"Authorization": f"Bearer {old}"}).is_success


def test_tabs_and_retries_come_into_one_session(shop):
    """One old token is one session, however often it is presented."""
    old = shop.old_token()
    read = {"options": {"verify_signature": False}}
    assert len({jwt.decode(shop.moved(old), **read)["sid"] for _ in range(3)}) == 1


def test_a_forged_token_is_refused(shop):
    """With another secret, without a signature, of another purpose, or with a longer life."""
    claims = {"sub": "alice", "exp": int(time.time()) + HOUR}
    forged = [
        jwt.encode(claims, secrets.token_hex(32), algorithm="HS256"),
        jwt.encode(claims, None, algorithm="none"),
        shop.old_token(type="password-reset"),
        shop.old_token(exp=int(time.time()) + 30 * DAY),
    ]
    assert [shop.basket(token).status_code for token in forged] == [401] * 4


def test_a_disabled_customer_gets_no_successor(shop, monkeypatch):
    """The old token is valid, and the customer is not."""
    accounts = sys.modules["accounts"].ACCOUNTS
    monkeypatch.setattr(accounts["bob"], "disabled", True)
    refused = shop.basket(shop.old_token("bob"))
    assert (refused.status_code, "X-Refresh-Token" in refused.headers) == (401, False)


def test_no_one_loses_time_by_the_move(shop, linqi_clock):
    """The successor lives for 24 h from the move; then a visit every 10 h is enough."""
    token = shop.moved(shop.old_token())
    linqi_clock.advance(23.9 * HOUR)
    for _ in range(8):
        answer = shop.basket(token)
        assert answer.status_code == 200
        token = answer.headers.get("X-Refresh-Token", token)
        linqi_clock.advance(9.9 * HOUR)


def test_a_session_ends_after_thirty_days(shop, linqi_clock):
    """However active it is, the password is asked for again; up to a tenth earlier."""
    token, days = shop.moved(shop.old_token()), 0.0
    while (answer := shop.basket(token)).status_code == 200:
        token = answer.headers.get("X-Refresh-Token", token)
        linqi_clock.advance(DAY / 4)
        days += 1 / 4
    assert 26.5 < days < 30.5


def test_old_tokens_end_at_the_date(shop, linqi_clock):
    """An hour before it they are accepted; at the date they are not, and successors go on."""
    linqi_clock.advance(40 * DAY - HOUR)
    old = shop.old_token(now=linqi_clock())
    successor = shop.moved(old)
    linqi_clock.advance(HOUR + 1)
    assert shop.basket(old).status_code == 401
    assert shop.basket(successor).status_code == 200
