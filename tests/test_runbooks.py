"""The runbooks of docs/operate: what they name exists, and three incidents are played."""

import contextlib
import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from example_files import commands_of
from linqi import KeySet, RenewalSettings, Signer, SlidingRenewal
from linqi.cli import main
from linqi.instrumentation.logging import _LINES
from monitoring import EXAMPLES, make
from real_servers import serving
from waiting import wait_until

DOCS = EXAMPLES.parent.parent
PAGES = sorted((DOCS / "operate").glob("*.md"))
FILES = DOCS / "examples" / "operate"
EVERYTHING = "\n".join(page.read_text() for page in PAGES)


def test_every_alert_of_the_pages_exists() -> None:
    """A runbook that nothing leads to would not be found."""
    named = set(re.findall(r"`(Linqi[A-Z]\w+)`", EVERYTHING))
    assert named == {alert.name for alert in make.ALERTS}


def test_every_runbook_of_an_alert_exists() -> None:
    """And names the alert."""
    for alert in make.ALERTS:
        if alert.runbook:
            page = DOCS / "operate" / f"{alert.runbook}.md"
            assert f"`{alert.name}`" in page.read_text()


def test_every_metric_of_the_pages_exists() -> None:
    """A query with a misspelt name would show nothing in the night."""
    reference = (DOCS / "reference" / "metrics.md").read_text()
    exposed = set(re.findall(r"`(linqi_\w+?)(?:\{[\w,]+\})?`", reference))
    named = set(re.findall(r"\b(linqi_[a-z_]+[a-z])\b", EVERYTHING.replace(".py", "")))
    named -= {"linqi_owner"}
    lost = {name for name in named if not any(known.startswith(name) for known in exposed)}
    assert not lost


def test_every_log_line_of_the_pages_is_one_of_an_event() -> None:
    """Of the lines with a level, the text before the first field."""
    known = {text.partition("=%(")[0].rpartition(" ")[0].rstrip(":") for _, text in _LINES.values()}
    told = re.findall(r"^(?:INFO|WARNING|ERROR) linqi ([^:\n]+)", EVERYTHING, re.M)
    assert told
    assert {line for line in told if line not in known | {"revocations arrive again"}} == set()


def test_every_linqi_command_of_the_pages_parses(capsys: pytest.CaptureFixture[str]) -> None:
    """Its name, and each option, by its own help."""
    blocks = re.findall(r"```(?:sh|console)\n(.*?)```", EVERYTHING, re.S)
    spans = re.findall(r"`(linqi [a-z][^`]*)`", EVERYTHING)
    lines = [line for block in blocks for line in commands_of(block)]
    commands = [part for line in [*lines, *spans] for part in line.split("&&")]
    found = [shlex.split(text, comments=True) for text in commands if "linqi " in text[:8]]
    found = [words for words in found if words[:1] == ["linqi"] and words[1:]]
    assert len(found) > 30
    for words in found:
        if words[1].startswith("-"):
            continue
        name = [words[1], words[2]] if words[1] == "store" and len(words) > 2 else [words[1]]
        with pytest.raises(SystemExit):
            main([*name, "--help"])
        told = capsys.readouterr().out
        for option in (word for word in words if word.startswith("--")):
            assert f"{option.partition('=')[0]} " in told.replace("]", " "), words


class Site:
    """The application of the runbooks, on a real server in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.client = httpx2.Client(timeout=20)

    def post(self, path: str, **form: str) -> httpx2.Response:
        """Post a form."""
        return self.client.post(path, data=form)

    def login(self, user: str) -> dict[str, str]:
        """Sign in; return the tokens."""
        answer = self.post("/login", username=user, password="storm")
        tokens: dict[str, str] = answer.raise_for_status().json()
        return tokens

    def refresh(self, token: str) -> httpx2.Response:
        """Redeem a refresh token."""
        return self.post("/refresh", refresh_token=token)

    def me(self, token: str) -> int:
        """Return the status of a guarded path."""
        return self.client.get("/me", headers={"authorization": f"Bearer {token}"}).status_code

    def log(self) -> str:
        """Return what the worker wrote."""
        return (self.folder / "log").read_text()

    def removed_keys(self) -> str:
        """Return what the worker's reads of its key files removed: one may see several changes."""
        return " ".join(re.findall(r"key file read: .* removed=(.*)", self.log()))

    def run(self, *command: str) -> str:
        """Run a program of Python in the folder of linqi.toml; return what it printed."""
        done = subprocess.run(
            [sys.executable, *command],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def linqi(self, *arguments: str) -> str:
        """Run a command of linqi there."""
        return self.run("-m", "linqi", *arguments)


@contextlib.contextmanager
def shop(folder: Path, store: str = "sqlite:sessions.db") -> Iterator[Site]:
    """Serve the application with new keys, which it looks at often, and without a grace."""
    shutil.copytree(FILES, folder)
    settings = (folder / "linqi.toml").read_text().replace("sqlite:sessions.db", store)
    settings = settings.replace("[store]", "check_seconds = 0.2\n\n[store]")
    settings += "\n[sessions]\ngrace_seconds = 0\nrecover_seconds = 600\n"
    (folder / "linqi.toml").write_text(settings)
    site = Site(folder)
    site.linqi("keygen")
    site.linqi("keygen", "--alg", "HS256", "--out", "refresh.json")
    arguments = "--log-config", "logging.json"
    with (
        serving("uvicorn", "app:app", folder / "log", *arguments, folder=folder) as port,
        site.client,
    ):
        site.client.base_url = f"http://127.0.0.1:{port}"
        yield site


def _forged(keys: Path) -> str:
    """Return a token that the holder of the leaked file makes."""
    signer = Signer(KeySet.load(keys), issuer="https://shop.example", audience="shop")
    return SlidingRenewal(signer, RenewalSettings()).start("root").token


def _old_kid(file: Path) -> str:
    kid: str = json.loads(file.read_text())["keys"][0]["kid"]
    return kid


def test_a_leaked_key_is_replaced_as_the_page_says(tmp_path: Path) -> None:
    """Forged tokens are refused, clients with refresh tokens go on, and everyone can be ended."""
    with shop(tmp_path / "shop") as site:
        alice, bob = site.login("alice"), site.login("bob")
        forged = _forged(site.folder / "keys.json")
        assert site.me(forged) == 200
        kid = _old_kid(site.folder / "keys.json")
        site.linqi("keygen", "--rotate", "--lead-seconds", "0", "--out", "keys.json")
        site.linqi("keygen", "--remove", kid, "--out", "keys.json")
        wait_until(lambda: site.me(forged) == 401, 60, site.log)
        assert "code=unknown_key" in site.log()
        assert site.me(alice["access_token"]) == 401
        alice = site.refresh(alice["refresh_token"]).raise_for_status().json()
        assert site.me(alice["access_token"]) == 200
        ended = site.linqi("store", "revoke", "sqlite:sessions.db", "--subject", "bob")
        assert "ended 1 session of bob" in ended
        assert site.refresh(bob["refresh_token"]).headers["x-refresh-outcome"] == "revoked"
        now = str(int(time.time()))
        assert "ended " in site.linqi("store", "restored", "sqlite:sessions.db", "--taken-at", now)
        wait_until(lambda: site.me(alice["access_token"]) == 401, 60, site.log)
        assert site.refresh(alice["refresh_token"]).headers["x-refresh-outcome"] == "revoked"
        alice = site.login("alice")
        assert site.me(alice["access_token"]) == 200


def test_a_leaked_refresh_secret_is_replaced_as_the_page_says(tmp_path: Path) -> None:
    """Refresh tokens of before are none any more; access tokens go on until they expire."""
    with shop(tmp_path / "shop") as site:
        alice = site.login("alice")
        kid = _old_kid(site.folder / "refresh.json")
        rotate = ["--rotate", "--alg", "HS256", "--lead-seconds", "0"]
        rotate += ["--token-lifetime-seconds", "604800", "--out", "refresh.json"]
        site.linqi("keygen", *rotate)
        site.linqi("keygen", "--remove", kid, "--out", "refresh.json")
        wait_until(lambda: kid in site.removed_keys(), 60, site.log)
        refused = site.refresh(alice["refresh_token"])
        assert (refused.status_code, refused.headers["x-refresh-outcome"]) == (400, "malformed")
        assert site.me(alice["access_token"]) == 200


def test_a_theft_looks_as_the_page_says(tmp_path: Path) -> None:
    """The thief refreshes, the owner recovers, and the thief's next refresh ends the session."""
    with shop(tmp_path / "shop") as site:
        owner = site.login("alice")
        thief = site.refresh(owner["refresh_token"]).json()
        recovered = site.refresh(owner["refresh_token"])
        assert recovered.headers["x-refresh-outcome"] == "recovered"
        caught = site.refresh(thief["refresh_token"])
        assert (caught.status_code, caught.headers["x-refresh-outcome"]) == (400, "reused")
        after = site.refresh(recovered.json()["refresh_token"])
        assert after.headers["x-refresh-outcome"] == "revoked"
        line = "WARNING linqi SECURITY refresh token reused.* presented=1 current=2$"
        assert re.search(rf"^20[-\d]+ [\d:,]+ {line}", site.log(), re.M)
        listed = ["--subject", "alice", "--ended"]
        assert "  reuse  " in site.linqi("store", "sessions", "sqlite:sessions.db", *listed)


def test_a_full_sqlite_disk_looks_as_the_page_says(tmp_path: Path, small_disk: Path) -> None:
    """Signed-in users go on, everything that writes gets 503, and nothing has to be restarted."""
    with shop(tmp_path / "shop", f"sqlite:{small_disk / 'sessions.db'}") as site:
        alice = site.login("alice")
        filler = small_disk / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        refused = site.refresh(alice["refresh_token"])
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert site.post("/login", username="eve", password="storm").status_code == 503
        assert site.me(alice["access_token"]) == 200
        assert "database or disk is full" in site.log()
        filler.unlink()
        assert site.refresh(alice["refresh_token"]).status_code == 200
        assert site.login("eve")
