"""The issuing app on a real server: login, keys, limits and secrets."""

import re
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from linqi import ConfigurationError, Key, KeySet, TrustedIssuer, Verifier
from linqi_storm.serve.data_folder import open_data_folder
from linqi_storm.serve.server import ServeOptions
from served import Server
from signed_in import PASSWORD


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield one server for the module."""
    running = Server(tmp_path_factory.mktemp("app") / "data", "--timed").start()
    yield running
    running.stop()


def bearer(token: str) -> dict[str, str]:
    """Return the header for a token."""
    return {"Authorization": f"Bearer {token}"}


def test_a_login_gives_a_token_that_opens_me(server: Server) -> None:
    """JSON and forms both sign in, and the response is not cached."""
    form = httpx2.post(
        f"{server.base}/login", data={"username": "bob", "password": PASSWORD}, timeout=20
    )
    for answer, name in ((server.login(), "alice"), (form, "bob")):
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        body = answer.json()
        assert body["token_type"] == "Bearer"
        assert 0 < body["refresh_in"] <= 600
        me = httpx2.get(f"{server.base}/me", headers=bearer(body["access_token"]))
        assert me.json()["subject"] == name


@pytest.mark.parametrize(
    ("username", "password"), [("alice", "wrong"), ("nobody", PASSWORD), ("alice", "é")]
)
def test_a_wrong_login_does_not_tell_what_was_wrong(
    server: Server, username: str, password: str
) -> None:
    """Unknown users and wrong passwords get the same answer."""
    answer = server.login(username, password)
    assert (answer.status_code, answer.json()) == (401, server.login("alice", "x").json())


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"username":"alice"}', "application/json", 400),
        (b'{"username":1,"password":2}', "application/json", 400),
        (b'{"username":"alice","password":"\\ud800"}', "application/json", 400),
        (b"[" * 3000, "application/json", 400),
        (b"\xff=\xff", "application/x-www-form-urlencoded", 400),
        (b"username=a&username=b&password=c", "application/x-www-form-urlencoded", 400),
        (b"x" * 20_000, "application/json", 413),
        (b"{}", "text/plain", 415),
        (b"{}", None, 415),
    ],
)
def test_an_odd_login_body_is_refused_and_never_a_500(
    server: Server, body: bytes, kind: str | None, status: int
) -> None:
    """Every malformed body gets a 4xx."""
    headers = {"Content-Type": kind} if kind else {}
    answer = httpx2.post(f"{server.base}/login", content=body, headers=headers)
    assert answer.status_code == status


def test_the_published_keys_verify_a_token_elsewhere(server: Server) -> None:
    """Another service accepts the token with the JWKS alone."""
    keys = KeySet.from_jwks(httpx2.get(f"{server.base}/.well-known/jwks.json").text)
    assert not keys.keys[0].can_sign
    options = ServeOptions()
    verifier = Verifier(
        TrustedIssuer(
            issuer=options.issuer, audience=options.audience, keys=keys, algorithms=["ES256"]
        )
    )
    assert verifier.verify(server.login().json()["access_token"]).subject == "alice"


def test_stats_need_the_scope(server: Server) -> None:
    """A user without the scope gets 403, one with it the counters of the process."""
    tokens = {name: server.login(name).json()["access_token"] for name in ("alice", "bob")}
    refused = httpx2.get(f"{server.base}/stats", headers=bearer(tokens["bob"]))
    assert refused.status_code == 403
    assert 'scope="linqi:stats"' in refused.headers["www-authenticate"]
    stats = httpx2.get(f"{server.base}/stats", headers=bearer(tokens["alice"])).json()
    assert stats["renewal"]["sessions"] >= 2
    assert stats["verification"]["count"] >= 1


def test_unknown_paths_and_methods_are_plain_4xx(server: Server) -> None:
    """Without a token a request gets 401, whether or not the path exists."""
    assert httpx2.get(f"{server.base}/nothing").status_code == 401
    token = server.login().json()["access_token"]
    assert httpx2.get(f"{server.base}/nothing", headers=bearer(token)).status_code == 404
    assert httpx2.get(f"{server.base}/login").status_code == 405


def test_the_page_is_strict(server: Server) -> None:
    """Its policy allows only its own files, and the page has no inline script or style."""
    answer = httpx2.get(f"{server.base}/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", answer.text)
    assert httpx2.post(f"{server.base}/auth/demo/steal").status_code == 400
    foreign = {"sec-fetch-site": "cross-site", "x-token-delivery": "cookie"}
    for path in ("/auth/demo/steal", "/auth/demo/replay", "/auth/refresh"):
        assert httpx2.post(server.base + path, headers=foreign).status_code == 400


def test_secrets_stay_private(server: Server) -> None:
    """Files have mode 0600, the folder 0700, and the log has no password and no token."""
    data = server.log.with_suffix("")
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in data.iterdir()} == {0o600}
    assert PASSWORD not in (data / "users.json").read_text()
    token = server.login().json()["access_token"]
    log = server.log.read_text()
    assert PASSWORD not in log
    assert token not in log
    assert "Traceback" not in log


def test_a_generated_password_is_shown_once_and_keys_survive(tmp_path: Path) -> None:
    """The first start prints it, the second does not, and old tokens stay valid."""
    first = Server(tmp_path / "data", password=None).start()
    try:
        found = re.search(r"password (\S+) \(shown once\)", first.log.read_text())
        assert found
        token = first.login(password=found[1]).json()["access_token"]
    finally:
        first.stop()
    second = Server(tmp_path / "data", "--workers", "2", password=None).start()
    try:
        assert "password" not in second.log.read_text()
        for _ in range(4):
            assert httpx2.get(f"{second.base}/me", headers=bearer(token)).status_code == 200
    finally:
        second.stop()


def test_workers_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    """Of sixteen first starts on one folder, one creates the files and all use them."""
    data = tmp_path / "data"
    with ThreadPoolExecutor(16) as pool:
        made = [*pool.map(lambda _: open_data_folder(data, password="p"), range(16))]
    assert len({prepared.key_file.keys.signing_key().kid for prepared in made}) == 1
    assert sorted(path.name for path in data.iterdir()) == ["keys.json", "users.json"]


def test_a_folder_of_another_algorithm_or_password_is_a_fault(tmp_path: Path) -> None:
    """Nothing is overwritten: the message says to use another folder."""
    open_data_folder(tmp_path / "data", alg="ES256", password="p")
    with pytest.raises(ConfigurationError, match="another data folder"):
        open_data_folder(tmp_path / "data", alg="EdDSA", password="p")
    with pytest.raises(ConfigurationError, match="another password"):
        open_data_folder(tmp_path / "data", alg="ES256", password="q")
    KeySet([Key.generate("ES256")]).save(tmp_path / "other.json")
    (tmp_path / "data" / "users.json").write_text("[]")
    with pytest.raises(ConfigurationError, match="does not hold users"):
        open_data_folder(tmp_path / "data", alg="ES256")


def test_serve_options_are_checked_together() -> None:
    """One error reports port, workers and log level."""
    with pytest.raises(ConfigurationError) as caught:
        ServeOptions(port=70_000, workers=0, log_level="loud")
    assert len(caught.value.faults) == 3
    assert ServeOptions(host="localhost").is_loopback
    assert not ServeOptions(host="0.0.0.0").is_loopback  # noqa: S104 - nothing is bound
