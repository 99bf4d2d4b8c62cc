"""``linqi login``, ``token`` and ``logout`` against a real server, with real storages."""

import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx2
import keyring
import keyring.backends.fail
import pytest
from keyring.backend import KeyringBackend
from keyrings.alt.file import PlaintextKeyring

from free_ports import free_port
from linqi import ConfigurationError
from linqi.cli import main
from linqi.client.tokens import ClientTokens, read_claims
from linqi.login.keyring import KeyringStorage
from linqi.login.saved_logins import SavedLogin, SavedLogins, base_url, is_loopback
from signed_in import PASSWORD

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the logins, which does not exist yet."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PASS", PASSWORD)
    return tmp_path / "linqi" / "logins"


@pytest.fixture
def linqi(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command line; it returns exit code, stdout and stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        for thread in threading.enumerate():  # as the end of the process does
            if thread.name == "linqi-renewal":
                thread.join()
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


@pytest.fixture
def plain_keyring(tmp_path: Path) -> Iterator[KeyringBackend]:
    """Return a keyring backend that needs no desktop."""
    before = keyring.get_keyring()
    backend = PlaintextKeyring()
    backend.file_path = str(tmp_path / "keyring.cfg")
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


def sign_in(linqi: Run, server: str, *more: str) -> None:
    """Sign alice in."""
    code, out, err = linqi("login", server, "--username", "alice", "--password-from", "PASS", *more)
    assert (code, out) == (0, ""), err


@pytest.mark.parametrize("storage", ["file", "keyring"])
def test_a_login_serves_tokens_until_the_logout(
    quick_server: str, linqi: Run, home: Path, plain_keyring: KeyringBackend, storage: str
) -> None:
    """Signed in, used, renewed after expiry, revoked at the server, removed."""
    sign_in(linqi, quick_server, "--storage", storage)
    code, first, _ = linqi("token", quick_server)
    assert code == 0
    answer = httpx2.get(f"{quick_server}/me", headers={"Authorization": f"Bearer {first.strip()}"})
    assert answer.json()["subject"] == "alice"
    code, status, _ = linqi("login", "--status")
    assert code == 0
    assert quick_server in status
    assert "access token valid for" in status
    assert first.strip() not in status
    login = SavedLogins().find(quick_server)
    assert login is not None
    kept = SavedLogins().storage(login).load()
    assert kept is not None
    # A real token of a real server has to run out.
    time.sleep(max(0.0, read_claims(first.strip()).exp - time.time()) + 0.1)
    code, second, _ = linqi("token", quick_server + "/")
    assert code == 0
    assert second != first
    renewed = SavedLogins().storage(login).load()
    assert renewed is not None
    assert renewed.sequence > kept.sequence
    headers = {"Authorization": f"Bearer {second.strip()}"}
    assert httpx2.get(f"{quick_server}/me", headers=headers).status_code == 200
    assert linqi("logout", quick_server)[0] == 0
    assert [*home.iterdir()] == []
    answer = httpx2.post(f"{quick_server}/refresh", json={"refresh_token": renewed.refresh_token})
    assert answer.json()["error"] == "invalid_grant"
    assert linqi("token", quick_server)[0] == 1
    assert linqi("logout", quick_server)[0] == 1
    assert linqi("login", "--status")[0] == 1
    assert linqi("login", quick_server, "--status")[0] == 1


def test_the_files_are_private(dual_server: str, linqi: Run, home: Path) -> None:
    """Folder 0700, files 0600, and none contains the password."""
    sign_in(linqi, dual_server)
    assert home.stat().st_mode & 0o777 == 0o700
    files = [*home.iterdir()]
    assert len(files) == 2
    for file in files:
        assert file.stat().st_mode & 0o777 == 0o600
        assert PASSWORD not in file.read_text()


def test_a_second_login_ends_the_first(dual_server: str, linqi: Run) -> None:
    """No session is left that no command can end."""
    sign_in(linqi, dual_server)
    login = SavedLogins().find(dual_server)
    assert login is not None
    before = SavedLogins().storage(login).load()
    assert before is not None
    sign_in(linqi, dual_server)
    answer = httpx2.post(f"{dual_server}/refresh", json={"refresh_token": before.refresh_token})
    assert answer.status_code == 400
    assert linqi("token", dual_server)[0] == 0


def test_a_session_that_ended_elsewhere_is_exit_code_1(dual_server: str, linqi: Run) -> None:
    """The message names the next command; the tokens are removed."""
    sign_in(linqi, dual_server)
    login = SavedLogins().find(dual_server)
    assert login is not None
    kept = SavedLogins().storage(login).load()
    assert kept is not None
    httpx2.post(f"{dual_server}/logout", json={"refresh_token": kept.refresh_token})
    SavedLogins().storage(login).save(
        ClientTokens(access_token="", refresh_token=kept.refresh_token)
    )
    code, out, err = linqi("token", dual_server)
    assert (code, out) == (1, "")
    assert f"linqi login {dual_server}" in err
    assert "signed out" in linqi("login", "--status")[1]


def test_a_wrong_password_is_exit_code_1(
    dual_server: str, linqi: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is saved, and the password is not repeated."""
    monkeypatch.setattr("sys.stdin", io.StringIO("wrong horse\n"))
    code, out, err = linqi("login", dual_server, "--username", "alice", "--password-from", "-")
    assert (code, out) == (1, "")
    assert "wrong" in err
    assert "horse" not in err
    assert not home.exists()


def test_a_terminal_user_is_prompted(
    dual_server: str, linqi: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user name is read, the password by getpass, which does not show it."""
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True, readline=lambda: "bob\n"))
    monkeypatch.setattr("getpass.getpass", lambda prompt: PASSWORD)
    code, _, err = linqi("login", dual_server)
    assert code == 0
    assert "as bob" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("login",),
        ("login", "shop.example"),
        ("login", "https://alice:secret@shop.example", "--username", "a"),
        ("login", "https://shop.example/?next=secret", "--username", "a"),
        ("login", "http://shop.example", "--username", "a", "--password-from", "PASS"),
        ("login", "https://shop.example", "--username", "a", "--password-from", "secret"),
        ("login", "https://shop.example", "--username", "a"),
        ("login", "https://shop.example", "--login-path", "login"),
        ("login", "http://127.0.0.1:9", "--username", "a", "--password-from", "PASS"),
    ],
)
def test_a_call_that_cannot_work_is_exit_code_2(
    linqi: Run, home: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """The error has a line or two and no possible secret; nothing is saved."""
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    code, out, err = linqi(*arguments)
    assert (code, out) == (2, "")
    assert err
    assert "secret" not in err
    assert not home.exists()


def test_a_wrong_login_route_is_reported(dual_server: str, linqi: Run, home: Path) -> None:
    """With the path that was tried and the status of its response."""
    code, _, err = linqi(
        *("login", dual_server, "--username", "a", "--password-from", "PASS", "--login-path", "/me")
    )
    assert code == 2
    assert f"{dual_server}/me answered 401" in err
    assert not home.exists()


def test_the_routes_of_linqi_serve_are_found_below_auth(
    linqi: Run, tmp_path: Path, unused_port: int
) -> None:
    """/login there returns no refresh token, so /auth/login is used, and its refresh route."""
    app = tmp_path / "below.py"
    app.write_text(BELOW)
    command = [sys.executable, "-m", "uvicorn", "below:app", "--port", str(unused_port)]
    server = subprocess.Popen(
        [*command, "--log-level", "warning"], cwd=tmp_path, stdout=subprocess.DEVNULL
    )
    base = f"http://localhost:{unused_port}"
    try:
        for _ in range(1200):
            try:
                httpx2.get(base, timeout=1)
                break
            except httpx2.TransportError:
                time.sleep(0.05)
        sign_in(linqi, base)
        login = SavedLogins().find(base)
        assert login is not None
        assert login.login_url == f"{base}/auth/login"
        assert login.beside("refresh") == f"{base}/auth/refresh"
        assert linqi("token", base)[0] == 0
        assert linqi("logout", base)[0] == 0
    finally:
        server.terminate()
        server.wait(60)


BELOW = """
from linqi import *
from linqi.stores.memory import MemoryStore
signer = Signer(Key.generate("ES256"), issuer="i", audience="a")
sessions = Sessions(MemoryStore(), signer, Key.generate("HS256"))
verifier = Verifier.trusting(signer, is_revoked=sessions.revocations.is_revoked)
async def sliding(scope, receive, send):
    start = {"type": "http.response.start", "status": 200, "headers": []}
    await send(start)
    await send({"type": "http.response.body", "body": b'{"access_token": "a.b.c"}'})
routes = SessionRoutes(
    sliding, sessions, verifier, lambda form: Person(subject=form["username"]), prefix="/auth"
)
app = JWTMiddleware(routes, verifier, public=[*routes.public, "/login"], services=[sessions])
"""


@pytest.fixture
def unused_port() -> int:
    """Return a port on which no process listens."""
    return free_port()


def test_a_logout_without_the_server_removes_nothing(linqi: Run, home: Path) -> None:
    """The session goes on, so the tokens stay; --forget removes them."""
    url = "http://127.0.0.1:9"
    login = SavedLogin(url=url, login_url=f"{url}/login", username="alice")
    SavedLogins().save(login)
    SavedLogins().storage(login).save(ClientTokens(access_token="a.e30.c", refresh_token="r"))
    code, _, err = linqi("logout", url)
    assert code == 2
    assert "--forget" in err
    assert SavedLogins().find(url) == login
    code, out, _ = linqi("token", url)
    assert (code, out) == (2, "")
    code, _, err = linqi("logout", url, "--forget")
    assert code == 0
    assert "not revoked" in err
    assert [*home.iterdir()] == []


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b"\xff", b'{"url": 7}'])
def test_a_damaged_record_is_no_login(home: Path, broken: bytes) -> None:
    """A partial file, or one of another version."""
    login = SavedLogin(url="https://a.example", login_url="https://a.example/login", username="a")
    SavedLogins().save(login)
    assert SavedLogins().all() == [login]
    next(home.iterdir()).write_bytes(broken)
    assert SavedLogins().all() == []
    assert SavedLogins().find(login.url) is None


def test_urls_are_normalised() -> None:
    """The host's case and a final slash do not matter; http is for this machine."""
    assert base_url("HTTPS://Shop.Example:8443/api/") == "https://shop.example:8443/api"
    assert base_url("http://[::1]:8000") == "http://[::1]:8000"
    assert base_url("http://shop.example", is_plain_allowed=True) == "http://shop.example"
    for url in ("http://127.0.0.1.nip.io", "http://localhost.example", "https://x:99999"):
        with pytest.raises(ConfigurationError):
            base_url(url)
    assert is_loopback("127.8.8.8")
    assert not is_loopback("10.0.0.1")


def test_the_keyring_saves_and_removes(plain_keyring: KeyringBackend) -> None:
    """With the real library; removing twice is no error, neither is a foreign password."""
    storage = KeyringStorage("https://shop.example")
    assert storage.load() is None
    storage.save(None)
    tokens = ClientTokens(access_token="a.b.c", refresh_token="r", sequence=3)
    storage.save(tokens)
    assert keyring.get_password("linqi", "https://shop.example")
    assert storage.load() == tokens
    assert KeyringStorage("https://other.example").load() is None
    keyring.set_password("linqi", "https://shop.example", "not ours")
    assert storage.load() is None
    storage.save(None)
    assert keyring.get_password("linqi", "https://shop.example") is None


def test_the_smallest_keyring_takes_long_tokens(plain_keyring: KeyringBackend) -> None:
    """Windows takes 2,560 bytes in UTF-16: a long access token is not saved."""
    storage = KeyringStorage("https://shop.example")
    storage.save(ClientTokens(access_token="a" * 3000, refresh_token="r" * 150, sequence=3))
    kept = keyring.get_password("linqi", "https://shop.example")
    assert kept is not None
    assert len(kept.encode("utf-16")) <= 2560
    assert storage.load() == ClientTokens(access_token="", refresh_token="r" * 150, sequence=3)


def test_a_missing_keyring_is_reported(dual_server: str, linqi: Run, home: Path) -> None:
    """One line, exit code 2, and the session that could not be saved is revoked."""
    before = keyring.get_keyring()
    keyring.set_keyring(keyring.backends.fail.Keyring())
    try:
        code, _, err = linqi(
            *("login", dual_server, "--username", "alice", "--password-from", "PASS"),
            *("--storage", "keyring"),
        )
    finally:
        keyring.set_keyring(before)
    assert code == 2
    assert "the keyring could not write" in err
    assert SavedLogins().all() == []


@pytest.mark.parametrize("is_installed", [True, False])
def test_a_login_that_cannot_be_saved_keeps_the_earlier_one(
    dual_server: str, linqi: Run, monkeypatch: pytest.MonkeyPatch, is_installed: bool
) -> None:
    """A machine has no keyring, or not the library for it: its session in a file goes on."""
    sign_in(linqi, dual_server)
    before = keyring.get_keyring()
    if is_installed:
        keyring.set_keyring(keyring.backends.fail.Keyring())
    else:
        monkeypatch.delitem(sys.modules, "linqi.login.keyring", raising=False)
        monkeypatch.setitem(sys.modules, "keyring", None)
    try:
        code, _, err = linqi(
            *("login", dual_server, "--username", "alice", "--password-from", "PASS"),
            *("--storage", "keyring"),
        )
    finally:
        keyring.set_keyring(before)
    assert code == 2, err
    code, token, err = linqi("token", dual_server)
    assert code == 0, err
    assert token.count(".") == 2


def test_a_login_in_another_storage_removes_the_earlier_tokens(
    dual_server: str, linqi: Run, home: Path, plain_keyring: KeyringBackend
) -> None:
    """The file has no token of a session that has ended."""
    sign_in(linqi, dual_server)
    sign_in(linqi, dual_server, "--storage", "keyring")
    assert [login.storage for login in SavedLogins().all()] == ["keyring"]
    assert list(home.rglob("*.tokens")) == []


def test_the_commands_work_in_a_process_of_their_own(dual_server: str, home: Path) -> None:
    """With the keyring chosen by keyring's own environment variable."""
    environment = os.environ | {"PYTHON_KEYRING_BACKEND": "keyrings.alt.file.PlaintextKeyring"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "linqi", *arguments]
        return subprocess.run(
            command, env=environment, input=PASSWORD, capture_output=True, text=True, timeout=60
        )

    how = ("--username", "alice", "--password-from", "-", "--storage", "keyring")
    assert run("login", dual_server, *how).returncode == 0
    done = run("token", dual_server)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(".") == 2
    assert run("logout", dual_server).returncode == 0
    assert json.dumps(PASSWORD) not in done.stderr


@pytest.mark.parametrize(
    ("module", "extra"), [("keyring", "keyring"), ("platformdirs", "client"), ("httpx2", "client")]
)
def test_a_missing_library_names_its_extra(
    linqi: Run, monkeypatch: pytest.MonkeyPatch, module: str, extra: str
) -> None:
    """The error names the extra to install."""
    url = "http://127.0.0.1:9"
    login = SavedLogin(url=url, login_url=f"{url}/login", username="a", storage="keyring")
    SavedLogins().save(login)
    for name in ("linqi.login.keyring", "linqi.client.httpx2"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    code, _, err = linqi("token", url)
    assert code == 2
    assert f"pip install 'linqi[{extra}]'" in err
