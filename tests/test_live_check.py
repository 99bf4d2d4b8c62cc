"""``linqi check --live``: real stores, a real issuer with a wrong clock, dead ports, proxies."""

import contextlib
import datetime
import http.server
import ipaddress
import json
import logging
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from linqi import Key, KeySet
from linqi.cli import main
from linqi.config import load
from linqi.live import LiveOptions, check_live
from linqi.live.http_clock import offset_of
from linqi.live.log_settings import least_level, read_log_config
from linqi.live.probe import _sentence
from linqi.live.proxies import proxy_of
from pgbouncer import pgbouncer

HEAD = (
    '[verify]\nissuer = "https://id.shop.net"\naudience = "shop"\n[keys]\nfile = "keys.json"\n'
    '[paths]\npublic = ["/login"]\n'
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with signing keys and refresh secrets."""
    KeySet([Key.generate("ES256")]).save(tmp_path / "keys.json")
    KeySet([Key.generate("HS256")]).save(tmp_path / "refresh.json")
    return tmp_path


def store_at(url: str, more: str = "") -> str:
    """Return the configuration of a store."""
    return f'{HEAD}[store]\nurl = "{url}"\nsecrets_file = "refresh.json"\n{more}\n'


class Live:
    """What one run of the command printed."""

    def __init__(self, code: int, printed: str) -> None:
        self.code, self.printed = code, printed
        document = json.loads(printed)
        self.seen = [f"{one['probe']}: {one['text']}" for one in document["seen"]]
        self.found: dict[str, dict[str, Any]] = {one["code"]: one for one in document["findings"]}

    def saw(self, text: str) -> bool:
        """Return whether a fact contains `text`."""
        return any(text in one for one in self.seen)


@pytest.fixture
def look(folder: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that runs ``linqi check --live`` on a configuration."""

    def run(text: str, *options: str) -> Live:
        (folder / "linqi.toml").write_text(text)
        code = main(["check", "--live", "--json", str(folder / "linqi.toml"), *options])
        return Live(code, capsys.readouterr().out)

    return run


class Issuer(http.server.BaseHTTPRequestHandler):
    """An issuer whose clock is ahead by `ahead` seconds."""

    ahead = 0.0
    age = ""
    issuer = ""

    def do_GET(self) -> None:
        """Answer the metadata or the key set."""
        body: dict[str, Any] = {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/jwks"}
        if self.path == "/jwks":
            body = KEYS.public_jwks()
        text = json.dumps(body).encode()
        self.send_response_only(200)
        self.send_header("Date", formatdate(time.time() + self.ahead, usegmt=True))
        self.send_header("Cache-Control", "max-age=600")
        if self.age:
            self.send_header("Age", self.age)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Write no log."""


KEYS = KeySet([Key.generate("ES256")])


@contextlib.contextmanager
def issuing(context: ssl.SSLContext | None = None, **facts: Any) -> Iterator[str]:
    """Serve an issuer on loopback, and return its URL."""
    handler = type("Handler", (Issuer,), facts)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    scheme = "http"
    if context is not None:
        server.socket, scheme = context.wrap_socket(server.socket, server_side=True), "https"
    url = f"{scheme}://127.0.0.1:{server.server_port}"
    handler.issuer = url  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield url
    finally:
        server.shutdown()
        server.server_close()


def trusting(issuer: str) -> str:
    """Return a configuration with an outside issuer only."""
    return f'[[issuers]]\nissuer = "{issuer}"\naudience = ["shop"]\nalgorithms = ["ES256"]\n'


@pytest.fixture(params=["sqlite", "valkey", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a store of each kind, ready for workers."""
    if request.param == "sqlite":
        url = f"sqlite:{tmp_path / 'sessions.db'}"
        assert main(["store", "init", url]) == 0
        return url
    name = {"valkey": "valkey_url", "postgres": "postgres_dsn"}[request.param]
    return str(request.getfixturevalue(name))


def test_a_store_that_works_is_seen_to(store_url: str, look: Any) -> None:
    """A session, a note and a revocation make their way; there is nothing to do."""
    live = look(store_at(store_url))
    assert live.saw("store: a session was made, refreshed and ended")
    assert live.saw("store: a round trip takes")
    assert live.saw("store: its clock is")
    assert live.saw("feed: a revocation reached another connection after")
    assert live.saw("feed: a note was written, read and deleted")
    assert not [code for code in live.found if code.startswith(("feed-", "store-un"))]


@pytest.mark.parametrize(
    "url", ["valkey://:hunter2@127.0.0.1:1/0", "postgresql://app:hunter2@127.0.0.1:1/shop"]
)
def test_a_dead_store_is_one_finding_without_its_password(url: str, look: Any) -> None:
    """No traceback, and no second finding of the feed that needs the store."""
    live = look(store_at(url))
    assert live.code == 1
    assert live.found["store-unreachable"]["severity"] == "error"
    assert "hunter2" not in live.printed
    assert not any(code.startswith("feed") for code in live.found)


def test_a_database_without_tables_is_found(postgres_dsn: str, look: Any) -> None:
    """The steps are those of ``linqi store init``."""
    live = look(store_at(f"{postgres_dsn}&options=-c%20search_path%3Dpg_catalog"))
    assert live.found["store-schema"]["severity"] == "error"
    assert "linqi store init" in live.found["store-schema"]["remedy"]


def test_a_pooler_that_passes_on_no_notification_is_found(postgres_dsn: str, look: Any) -> None:
    """Sessions work, revocations do not arrive."""
    with pgbouncer(postgres_dsn) as dsn:
        live = look(store_at(dsn, "statement_cache_size = 0"))
    assert live.saw("store: a session was made, refreshed and ended")
    assert "listen_url" in live.found["feed-unreachable"]["reason"]


def test_a_new_sqlite_file_is_not_made_by_the_check(folder: Path, look: Any) -> None:
    """Its first worker makes it; a missing folder is an error."""
    live = look(store_at("sqlite:new.db"))
    assert live.saw("new.db does not exist; the first worker makes it")
    assert not (folder / "new.db").exists()
    assert look(store_at("sqlite:no/such/s.db")).found["store-folder"]["severity"] == "error"


async def test_a_clock_that_differs_from_the_store_is_found(valkey_url: str, folder: Path) -> None:
    """By more than the second to which tokens are exact."""
    (folder / "linqi.toml").write_text(store_at(valkey_url))
    config = load(folder / "linqi.toml")
    live = await check_live(config, LiveOptions(), clock=lambda: time.time() + 30)
    (finding,) = [one for one in live.findings if one.code == "store-clock"]
    assert re.search(r"(29|3\d)\.\d s ahead of the store's", finding.reason)


@pytest.mark.parametrize(
    ("ahead", "severity", "words"),
    [(300, "error", "behind"), (-300, "error", "ahead of"), (5, "warning", "behind")],
)
def test_a_wrong_date_is_a_wrong_clock(ahead: float, severity: str, words: str, look: Any) -> None:
    """Of an issuer, and of any server that ``--clock-url`` names."""
    with issuing(ahead=ahead) as url:
        for live in (look(trusting(url)), look(HEAD, "--clock-url", url)):
            found = live.found["clock-differs"]
            assert found["severity"] == severity
            assert f"s {words} that of {url}" in found["reason"]
            assert "NTP" in found["remedy"]
            assert live.code == 1


def test_a_right_date_an_old_copy_and_keys_are_no_findings(look: Any) -> None:
    """A cache answers with the date of the origin, which tells nothing."""
    with issuing() as url:
        live = look(trusting(url))
        assert live.saw(f"{url}: usable keys: 1, trusted for")
        assert "clock-differs" not in live.found
        assert "issuer-no-keys" not in live.found
    with issuing(ahead=-500, age="500") as url:
        live = look(HEAD, "--clock-url", url)
        assert live.saw(f"{url} sends no usable Date")
        assert "clock-differs" not in live.found


@given(
    offset=st.floats(-1e6, 1e6),
    began=st.floats(1.7e9, 1.9e9),
    there=st.floats(0, 10),
    back=st.floats(0, 10),
)
def test_the_offset_is_within_what_is_told(
    offset: float, began: float, there: float, back: float
) -> None:
    """Whatever the way there and back takes, and however the second is cut off."""
    written = began + there + offset
    date = formatdate(int(written), usegmt=True)
    told = offset_of({"date": date}, began, began + there + back)
    assert told
    assert told.least - 1e-3 <= offset <= told.most + 1e-3
    if abs(told.certain) > 1e-3:
        assert told.certain * offset > 0
        assert abs(told.certain) <= abs(offset) + 1e-3


def test_dead_and_silent_servers_are_findings_within_the_time(look: Any) -> None:
    """A closed port, and one that accepts and never answers."""
    live = look(trusting("http://127.0.0.1:1"))
    assert live.found["issuer-no-keys"]["severity"] == "error"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        live = look(HEAD, "--clock-url", url, "--timeout-seconds", "0.2")
        assert {"clock-timeout", "clock-unreachable"} & live.found.keys()


def certificate(folder: Path, days: float) -> tuple[ssl.SSLContext, Path]:
    """Return a server's TLS context whose certificate ends in `days`, and the file to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    path, secret = folder / "cert.pem", folder / "cert.key"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, secret)
    return context, path


def test_a_certificate_that_ends_soon_is_found(
    folder: Path, look: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two weeks before no keys can be fetched any more."""
    for days, is_found in ((5, True), (90, False)):
        context, path = certificate(folder, days)
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        with issuing(context) as url:
            live = look(trusting(url))
        assert live.saw("its TLS certificate is valid for"), live.printed
        assert ("issuer-certificate" in live.found) is is_found


CONFIGS: dict[str, dict[str, Any]] = {
    "root": {"root": {"level": "INFO", "handlers": ["h"]}, "disable_existing_loggers": False},
    "uvicorn": {"loggers": {"uvicorn": {"handlers": ["h"], "level": "INFO"}}},
    "own": {"loggers": {"linqi": {"handlers": ["h"], "level": "DEBUG", "propagate": False}}},
    "own-level": {"root": {"handlers": ["h"]}, "loggers": {"linqi": {"level": "INFO"}}},
    "no-level": {"root": {"handlers": ["h"]}, "loggers": {"linqi": {}}},
    "cut-off": {"root": {"handlers": ["h"]}, "loggers": {"linqi": {"propagate": False}}},
    "quiet-handler": {"root": {"level": "DEBUG", "handlers": ["e"]}},
    "number": {"root": {"level": 40, "handlers": ["h"]}},
}
HANDLERS = {
    "h": {"class": "logging.NullHandler"},
    "e": {"class": "logging.NullHandler", "level": "ERROR"},
}
HEARD = """
import json, logging, logging.config, sys
answers = {}
for name, config in json.load(sys.stdin).items():
    logging.root.manager.loggerDict.clear()
    logging.root.handlers.clear()
    logging.root.setLevel("WARNING")
    logging.config.dictConfig({"version": 1, **config})
    logger, heard = logging.getLogger("linqi"), []
    while logger:
        heard += [handler.level for handler in logger.handlers]
        logger = logger.propagate and logger.parent
    own = logging.getLogger("linqi").getEffectiveLevel()
    answers[name] = [min((max(own, each) for each in heard), default=51), bool(heard)]
print(json.dumps(answers))
"""


def test_what_is_heard_is_what_logging_would_do() -> None:
    """The file is read, not applied, as that would open its files; Python is the judge."""
    told = {name: {**config, "handlers": HANDLERS} for name, config in CONFIGS.items()}
    done = subprocess.run(
        [sys.executable, "-c", HEARD],
        input=json.dumps(told),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert {name: [*least_level(config)] for name, config in told.items()} == json.loads(
        done.stdout
    )


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("root", ""),
        ("own", ""),
        ("uvicorn", "logs-bare"),
        ("cut-off", "logs-bare"),
        ("no-level", "logs-quiet"),
        ("quiet-handler", "logs-silent"),
        ("uvicorn", "logs-disabled"),
    ],
)
def test_a_silent_log_is_found(name: str, code: str, folder: Path, look: Any) -> None:
    """By the file that the server gets as ``--log-config``."""
    path = folder / "log.json"
    path.write_text(json.dumps({"version": 1, **CONFIGS[name], "handlers": HANDLERS}))
    found = {c for c in look(HEAD, "--log-config", str(path)).found if c.startswith("logs")}
    assert code in found if code else not found


def test_logs_are_read_in_all_formats_of_servers(folder: Path, look: Any) -> None:
    """JSON, YAML and the format of fileConfig; a file that is none of them is a finding."""
    (folder / "log.yaml").write_text("version: 1\nroot: {level: INFO, handlers: [h]}\n")
    (folder / "log.ini").write_text(
        "[loggers]\nkeys=root,linqi\n[handlers]\nkeys=h\n[formatters]\nkeys=\n"
        "[logger_root]\nlevel=ERROR\nhandlers=\n"
        "[logger_linqi]\nqualname=linqi\nlevel=INFO\nhandlers=h\npropagate=0\n"
        "[handler_h]\nclass=NullHandler\nlevel=WARNING\nargs=()\n"
    )
    assert least_level(read_log_config(folder / "log.yaml")) == (logging.INFO, True)
    assert least_level(read_log_config(folder / "log.ini")) == (logging.WARNING, True)
    (folder / "log.json").write_text("[1")
    for name in ("log.json", "missing.yaml"):
        assert "logs-unusable" in look(HEAD, "--log-config", str(folder / name)).found


@pytest.mark.parametrize(
    ("url", "variables", "proxy"),
    [
        ("https://id.example", {}, ""),
        ("https://id.example", {"HTTPS_PROXY": "http://u:secret@p:3128"}, "p:3128"),
        ("https://id.example", {"https_proxy": "p:3128"}, "p:3128"),
        ("https://id.example", {"HTTP_PROXY": "http://p:3128"}, ""),
        ("https://id.example", {"ALL_PROXY": "http://p:1"}, "p:1"),
        ("https://id.example", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a.example"}, "p:1"),
        ("https://id.example", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".example"}, ""),
        ("https://id.example", {"HTTPS_PROXY": "http://p:1", "no_proxy": "*"}, ""),
    ],
)
def test_the_proxy_on_the_way_is_told(url: str, variables: dict[str, str], proxy: str) -> None:
    """Without its password; exceptions count."""
    assert proxy_of(url, variables) == proxy


def test_a_proxy_before_loopback_is_found_as_the_client_meets_it(
    look: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keys cannot be fetched through it, and can with the exception that the remedy names."""
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with issuing() as url:
        live = look(trusting(url))
        assert {"proxies-loopback", "issuer-no-keys"} <= live.found.keys()
        assert "127.0.0.1" in live.found["proxies-loopback"]["remedy"]
        monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
        assert not {"proxies-loopback", "issuer-no-keys"} & look(trusting(url)).found.keys()


def test_a_forgeable_client_address_is_found(
    look: Any, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    """``*`` lets every client choose what the throttle counts."""
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    text = store_at("sqlite:s.db")
    assert look(text).found["proxies-any"]["severity"] == "warning"
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "10.0.0.1, 10.0.0.2")
    live = look(f'{text}[throttle]\nproxies = ["10.0.0.2"]\n')
    assert "proxies-any" not in live.found
    assert "10.0.0.2" in live.found["proxies-both"]["reason"]


def test_old_libraries_and_a_slow_loop_are_found(
    look: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too old for linqi, or with a known fault, by the metadata of what is installed."""
    site = tmp_path / "site"
    for name, version in (("msgspec", "0.1"), ("h11", "0.14.0"), ("uvicorn", "0.54.0")):
        info = site / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    monkeypatch.syspath_prepend(str(site))
    live = look(HEAD)
    assert "0.1 of msgspec is older than 0.20" in live.found["versions-old"]["reason"]
    assert "CVE-2025-43859" in live.found["versions-fault"]["reason"]
    assert live.saw("versions: CPython") or live.saw("versions: PyPy")


def test_notes_alone_are_success_and_a_bad_file_is_2(
    folder: Path, look: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit codes are those of ``linqi check``; the text names each fact and finding."""
    assert look(HEAD).code == 0
    assert main(["check", "--live", str(folder / "linqi.toml")]) == 0
    printed = capsys.readouterr().out
    assert "seen: versions: CPython" in printed
    assert "note: logs-bare" in printed
    (folder / "linqi.toml").write_text("[verify\n")
    assert main(["check", "--live", "--json", str(folder / "linqi.toml")]) == 2
    capsys.readouterr()
    (folder / "linqi.toml").write_text(HEAD)
    assert main(["check", "--live", str(folder / "linqi.toml"), "--timeout-seconds", "0"]) == 2
    assert "expected 0.1 to 60 seconds" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pip install uvloop httptools", "Run: pip install uvloop httptools"),
        ("linqi.toml cannot be used", "linqi.toml cannot be used."),
        ("add a handler", "Add a handler."),
        ("done.", "Done."),
    ],
)
def test_a_command_in_an_advice_can_be_copied(text: str, shown: str) -> None:
    """It begins with no capital letter and ends with no mark."""
    assert _sentence(text) == shown
