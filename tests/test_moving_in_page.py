"""The guide for those who move in: its settings and its example, as a reader would use them."""

import datetime
import json
import re
import secrets
import tomllib
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest

from asgi import App, call, http, served
from clock import FakeClock
from example_files import EXAMPLES, ROOT, copied, imported
from linqi import Key, KeySet
from linqi.config import read, wrap

PAGE = (ROOT / "docs" / "guides" / "moving_in.md").read_text()
EXAMPLE = EXAMPLES / "moving_in"
VECTORS = json.loads((Path(__file__).parent / "vectors" / "bridged_tokens.json").read_text())
HEADINGS = {
    "tutorial": "PyJWT or python-jose by hand",
    "fastapi-users": "fastapi-users 15",
    "authx": "AuthX 1",
    "flask-jwt-extended": "Flask-JWT-Extended 4",
    "simplejwt": "djangorestframework-simplejwt 5",
    "flask-jwt-extended 4.6": "Flask-JWT-Extended 4",
    "simplejwt 5.3": "djangorestframework-simplejwt 5",
}


@pytest.mark.parametrize("name", HEADINGS)
async def test_the_settings_of_an_origin_move_its_tokens(name: str, tmp_path: Path) -> None:
    """And refuse its refresh tokens, and those for other purposes."""
    section = PAGE.partition(f"**{HEADINGS[name]}")[2]
    shown = re.search(r"```toml\n(.*?)```", section, re.S)
    assert shown
    raw = tomllib.loads(shown[1])
    origin = VECTORS["origins"][name]
    if origin["by"].rpartition(" ")[0] != "pyjwt":
        assert origin["by"] in PAGE.lower() or "numeric_subject" in origin["bridge"]
    raw["bridge"] |= {k: v for k, v in origin["bridge"].items() if k == "numeric_subject"}
    raw |= {"verify": {"issuer": "https://shop.test", "audience": "shop"}}
    raw |= {"keys": {"file": "keys.json"}}
    KeySet([Key.generate("ES256")]).save(tmp_path / "keys.json")
    environ = {raw["bridge"]["env"]: VECTORS["secret"]}
    clock = FakeClock(VECTORS["made_at"] + 1)
    options: Any = {"environ": environ, "hooks": [id], "clock": clock}
    app = wrap(App(), read(raw, folder=tmp_path), **options)
    answer = await call(app, http(token=origin["access"]))
    assert answer.status == 200
    assert app.verifier.verify(answer.successor or "").subject == origin["subject"]
    for token in origin["refused"]:
        assert (await call(app, http(token=token))).status == 401


async def test_the_example_moves_a_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a real server: an old token of FastAPI's tutorial, and the next request with ours."""
    copied("moving_in", tmp_path)
    secret = secrets.token_hex(32)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET_KEY", secret)
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=30)
    monkeypatch.setenv("LINQI_BRIDGE__UNTIL", until.isoformat())
    shop = imported(tmp_path / "shop.py")
    ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=30)

    def old_token(subject: str) -> str:
        return jwt.encode({"sub": subject, "exp": ends}, secret, algorithm="HS256")

    async with served(shop.app) as port, httpx2.AsyncClient() as client:
        site = f"http://127.0.0.1:{port}"

        async def me(token: str) -> httpx2.Response:
            headers = {"Authorization": f"Bearer {token}"}
            return await client.get(f"{site}/users/me", headers=headers)

        first = await me(old_token("johndoe"))
        assert first.json() == {"username": "johndoe", "scopes": ["orders:read"]}
        second = await me(first.headers["x-refresh-token"])
        assert second.json() == first.json()
        assert "x-refresh-token" not in second.headers
        disabled = await me(old_token("eve"))
        assert (disabled.status_code, "x-refresh-token" in disabled.headers) == (200, False)
        signed_in = await client.post(f"{site}/login", params={"username": "johndoe"})
        assert (await me(signed_in.json()["access_token"])).json() == first.json()
