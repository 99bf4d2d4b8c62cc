"""The first pages that a reader follows: docs/quickstart.md and docs/choose.md."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from example_files import EXAMPLES, ROOT, copied, imported
from linqi import KeySet, Signer, SlidingRenewal
from linqi.cli import main
from linqi.config import read
from linqi.testing import ProcessClock
from linqi_report.processes import running

CHOICES = (ROOT / "docs" / "choose.md").read_text()


@pytest.mark.parametrize(
    ("example", "said_of_a_successor"),
    [("quickstart", "X-Refresh-Token: the next token"), ("zh_start", "拿到新 token")],
)
def test_a_session_of_the_quickstart_outlives_its_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, example: str, said_of_a_successor: str
) -> None:
    """As the page says, in less time: tokens of 8 s, and a client that is answered for 10 s."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(EXAMPLES / example, tmp_path, dirs_exist_ok=True)
    assert main(["init"]) == main(["keygen"]) == 0
    short = {"LINQI_RENEWAL__LIFETIME_SECONDS": "8", "LINQI_RENEWAL__BUFFER_SECONDS": "3"}
    command = ["uvicorn", "shop:app", "--port", "0", "--no-access-log"]
    with running(command, tmp_path / "log", health="/", environment=short) as url:
        client = (tmp_path / "call.py").read_text(encoding="utf-8")
        for said, quicker in (
            ("8000", url.rpartition(":")[2]),
            ("range(0, 61, 4)", "range(11)"),
            ("time.sleep(4)", "time.sleep(1)"),
        ):
            assert said in client
            client = client.replace(said, quicker)
        seen = subprocess.run(
            [sys.executable, "-X", "utf8", "-c", client],
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=True,
        ).stdout.splitlines()
    assert len(seen) == 11
    assert all('200  {"user":"alice"}' in line for line in seen)
    assert any(line.endswith(said_of_a_successor) for line in seen)


def bearer(token: str) -> dict[str, str]:
    """Return the header that carries a token."""
    return {"Authorization": f"Bearer {token}"}


def chosen(name: str, folder: Path) -> Any:
    """Return the application of a choice, with fresh keys in `folder`, the current one."""
    return imported(copied(f"choose/{name}", folder) / "shop.py").app


def test_a_bound_session_is_renewed_and_ends_at_sign_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linqi_clock: ProcessClock
) -> None:
    """So does one that began before there was a store: its tokens are accepted and renewed."""
    monkeypatch.chdir(tmp_path)
    app = chosen("bound", tmp_path)
    signer = Signer(KeySet.load("keys.json"), issuer="https://shop.example", audience="shop")
    with TestClient(app) as client:
        tokens = [
            client.post("/login").json()["access_token"],
            SlidingRenewal(signer, clock=linqi_clock).start("alice").token,
        ]
        linqi_clock.advance(700)
        for token in tokens:
            caller = bearer(token)
            answer = client.get("/me", headers=caller)
            assert answer.json() == {"user": "alice"}
            successor = bearer(answer.headers["X-Refresh-Token"])
            assert client.post("/logout", headers=successor).status_code == 204
            for ended in (caller, successor):
                assert client.get("/me", headers=ended).status_code == 401


def test_dual_tokens_give_parallel_refreshes_one_successor_and_end_at_sign_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session routes of the page: sign in, refresh twice with one token, sign out."""
    monkeypatch.chdir(tmp_path)
    with TestClient(chosen("dual", tmp_path)) as client:
        form = {"username": "alice", "password": "pásswörd"}
        assert client.post("/login", data=form).status_code == 400
        form["password"] = "correct horse"
        pair = client.post("/login", data=form).json()
        caller = bearer(pair["access_token"])
        assert client.get("/me", headers=caller).json() == {"user": "alice"}
        old = {"refresh_token": pair["refresh_token"]}
        first, second = (client.post("/refresh", data=old).json() for _ in range(2))
        assert first["refresh_token"] == second["refresh_token"] != old["refresh_token"]
        assert client.post("/logout", data={"refresh_token": first["refresh_token"]}).is_success
        assert client.get("/me", headers=caller).status_code == 401


def test_every_table_of_the_page_about_choices_can_be_used() -> None:
    """Each block of TOML that is no whole file is read together with the rest of a file."""
    rest = tomllib.loads((EXAMPLES / "choose" / "dual" / "linqi.toml").read_text())
    tables = [tomllib.loads(text) for text in re.findall(r"```toml\n(.*?)```", CHOICES, re.S)]
    partial = [table for table in tables if "keys" not in table]
    assert len(partial) == 4
    for table in partial:
        read(rest | table)
