"""A complete storm names what an application and the proxy before it do wrong."""

import subprocess
import sys
from pathlib import Path

from linqi import Key, KeySet
from linqi_storm.schema.result_file import load_run
from linqi_storm.schema.violations import (
    ANOTHER_USER,
    CLEARED_COOKIES,
    NO_CHALLENGE,
    NO_VARY,
    REFUSED_WITH_TOKEN,
    STORABLE_TOKENS,
)

SHOP = '''
from linqi.config import wrap


class Proxy:
    """Replaces the headers of responses, and keeps the last successor for refused ones."""

    def __init__(self, app):
        self.app = app
        self.last = b""

    async def __call__(self, scope, receive, send):
        async def changed(message):
            if message["type"] == "http.response.start":
                headers = dict(message["headers"])
                self.last = headers.get(b"x-refresh-token", self.last)
                headers |= {b"cache-control": b"max-age=60", b"vary": b"accept"}
                if message["status"] == 401:
                    headers.pop(b"www-authenticate", None)
                    headers[b"x-debug"] = self.last
                    headers[b"set-cookie"] = b"session=; Max-Age=0"
                message = {**message, "headers": [*headers.items()]}
            await send(message)

        await self.app(scope, receive, changed)


async def page(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello user-0"})


app = Proxy(wrap(page, "linqi.toml"))
'''


def test_an_application_and_a_proxy_are_judged_by_what_clients_receive(tmp_path: Path) -> None:
    """Each fault breaks the invariant of its own name, and the run fails."""
    (tmp_path / "faulty_shop.py").write_text(SHOP)
    KeySet([Key.generate("ES256")]).save(tmp_path / "keys.json")
    (tmp_path / "linqi.toml").write_text(
        '[verify]\nissuer = "https://shop.example"\naudience = "shop"\n'
        '[keys]\nfile = "keys.json"\n[renewal]\nlifetime_seconds = 900\nbuffer_seconds = 300\n'
    )
    output = tmp_path / "storm.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "linqi", "storm", "--app", "faulty_shop:app"),
            *("--config", "linqi.toml", "--path", "/", "--sessions", "40", "--alg", "ES256"),
            *("--gap-seconds", "60", "--compress", "120", "--seconds", "7"),
            *("--output", str(output)),
        ],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        cwd=tmp_path,
    )
    assert output.exists(), done.stderr + done.stdout
    run = load_run(output)
    broken = {check.name for check in run.broken if check.kind == "safety"}
    expected = {
        ANOTHER_USER,
        CLEARED_COOKIES,
        NO_CHALLENGE,
        NO_VARY,
        REFUSED_WITH_TOKEN,
        STORABLE_TOKENS,
    }
    assert expected <= broken
    assert done.returncode == 1
    assert "forced logouts of honest users" not in broken
