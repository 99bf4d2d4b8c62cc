"""Suite: what commands and server workers take to start, until they have done their first work."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Final

import pytest

from linqi import KeySet, Signer
from linqi.client.tokens import ClientTokens
from linqi.login.saved_logins import SavedLogin, SavedLogins
from linqi_bench.fresh_process import add_figures
from linqi_bench.recorder import Recorder
from linqi_bench.tokens import AUDIENCE, ISSUER

__all__ = ["COMMANDS"]

COMMANDS: Final = {
    "help": ["--help"],
    "inspect": ["inspect", "TOKEN"],
    "verify": [
        *("verify", "TOKEN", "--keys", "KEYS", "--issuer", ISSUER),
        *("--audience", AUDIENCE, "--algorithms", "ES256"),
    ],
    "token": ["token", "https://shop.example"],
    "check": ["check", "FILE"],
}
_QUICK_COMMAND: Final = "check"
_FILE: Final = (
    f'[verify]\nissuer = "{ISSUER}"\naudience = "{AUDIENCE}"\n[keys]\nfile = "keys.json"\n'
)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_start_of_a_command(recorder: Recorder, command: str, tmp_path: Path) -> None:
    """CPU time and memory of a whole command, in turn with a plain program of ``argparse``."""
    if recorder.is_quick and command != _QUICK_COMMAND:
        pytest.skip(f"a quick run starts `linqi {_QUICK_COMMAND}` only of the commands")
    values = _prepare(tmp_path)
    words = [values.get(word, word) for word in COMMANDS[command]]
    kinds = (["command", str(tmp_path), *words], ["plain command", "--help"])
    add_figures(recorder, f"start.{command}", f"linqi {command}", kinds, "argparse --help")


def test_the_start_of_a_worker(recorder: Recorder, tmp_path: Path) -> None:
    """A process of uvicorn until its first request, with linqi and without."""
    token = _prepare(tmp_path)["TOKEN"]
    jwk = json.dumps(KeySet.load(tmp_path / "keys.json").public_jwks()["keys"][0])
    kinds = (["worker", ISSUER, AUDIENCE, jwk, "ES256", token], ["bare worker", token])
    add_figures(recorder, "start.worker", "a uvicorn worker, ES256", kinds, "the worker alone")


def _prepare(folder: Path) -> dict[str, str]:
    """Write keys, a configuration and a login to `folder`; return what commands are given."""
    keys, now = KeySet.load_or_create(folder / "keys.json", "ES256"), int(time.time())
    signer = Signer(keys, issuer=ISSUER, audience=AUDIENCE)
    token = signer.sign({"sub": "alice", "iat": now, "exp": now + 3600})
    (folder / "linqi.toml").write_text(_FILE)
    logins, url = SavedLogins(folder / "linqi" / "logins"), "https://shop.example"
    login = SavedLogin(url=url, login_url=f"{url}/login", username="alice")
    logins.save(login)
    logins.storage(login).save(ClientTokens(access_token=token, refresh_token="r"))
    return {
        "TOKEN": token,
        "KEYS": str(folder / "keys.json"),
        "FILE": str(folder / "linqi.toml"),
    }
