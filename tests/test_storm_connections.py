"""The connections of a storm's clients, against a server that misbehaves on command."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from linqi_storm.clients.wire_responses import NoResponseError, ResponseHeads, ResponseReader

BODIES = st.binary(max_size=40)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nx: 1\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n"


def parsed(data: bytes) -> ResponseReader:
    """Return what httptools reads."""
    reader = ResponseReader(is_head=False)
    reader.feed(data)
    return reader


@given(
    first=BODIES,
    second=BODIES,
    status=st.sampled_from([200, 204, 304, 401]),
    headers=st.lists(st.sampled_from([b"x: 1", b"Set-Cookie: a=1", b"connection: close"])),
)
def test_a_known_head_reads_as_the_parser_does(
    first: bytes, second: bytes, status: int, headers: list[bytes]
) -> None:
    """The short way returns what httptools returns, or nothing."""
    heads = ResponseHeads()
    length = b"content-length: %d" % len(first)
    head = b"\r\n".join([b"HTTP/1.1 %d x" % status, length, *headers, b"", b""])
    body = b"" if status in (204, 304) else first
    reader = parsed(head + body)
    if reader.is_kept:
        heads.learn(head + body, reader.response)
    read = heads.read(head + second)
    if not reader.is_kept or len(second) != len(body):
        assert read is None
    else:
        assert read == parsed(head + second).response


@pytest.mark.parametrize(
    ("data", "of"),
    [
        (CHUNKED, CHUNKED),
        (HEAD + b"abcdHTTP/1.1 200 OK\r\n", HEAD + b"abcd"),
        (HEAD + b"abc", HEAD + b"abcd"),
    ],
    ids=["chunked", "more than one", "less than one"],
)
def test_a_head_that_does_not_tell_the_length_is_not_learnt(data: bytes, of: bytes) -> None:
    """Only a whole response with a content-length teaches its head."""
    heads = ResponseHeads()
    heads.learn(data, parsed(of).response)
    assert heads.read(data) is None


def test_what_is_not_http_is_no_response() -> None:
    """A parser's fault reads as a broken response."""
    with pytest.raises(NoResponseError, match="not HTTP"):
        parsed(b"SSH-2.0-OpenSSH\r\n\r\n")


PROGRAM = """
import gevent.monkey
gevent.monkey.patch_all()
import gevent, gevent.server, json, sys
from linqi_storm.clients.http_connections import ConnectionPool
from linqi_storm.clients.wire_responses import NoResponseError

OK = b"HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\n\\r\\nok"
asked = []
accepted = []

def serve(socket, _):
    accepted.append(1)
    count = 0
    while True:
        data = b""
        while not data.endswith(b"\\r\\n\\r\\n"):
            more = socket.recv(65536)
            if not more:
                return
            data += more
            if data.startswith(b"GET /early"):
                socket.sendall(OK)
                gevent.sleep(0.1)
                return
        count += 1
        path = data.split(b" ", 2)[1].decode()
        asked.append(path)
        if path == "/late":
            gevent.sleep(5)
        elif path == "/parts":
            for byte in OK:
                socket.sendall(bytes([byte]))
                gevent.sleep(0)
        elif path == "/chunks":
            head = b"HTTP/1.1 200 OK\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n"
            socket.sendall(head + b"2\\r\\nok\\r\\n")
            gevent.sleep(0.01)
            socket.sendall(b"0\\r\\n\\r\\n")
        elif path == "/short":
            socket.sendall(OK[:-1])
            socket.close()
            return
        elif path == "/none":
            socket.close()
            return
        elif path == "/second" and count > 1:
            socket.close()
            return
        elif path == "/garbage":
            socket.sendall(b"no HTTP at all\\r\\n\\r\\n")
        elif path == "/close":
            socket.sendall(OK.replace(b"\\r\\n\\r\\n", b"\\r\\nconnection: close\\r\\n\\r\\n"))
        else:
            socket.sendall(OK)
            if path == "/leave":
                socket.close()
                return

server = gevent.server.StreamServer(("127.0.0.1", 0), serve)
server.start()
again = []
pool = ConnectionPool(
    f"http://127.0.0.1:{server.server_port}", timeout=3, on_reconnect=lambda: again.append(1)
)

def ask(path, filler=0):
    request = f"GET {path} HTTP/1.1\\r\\nx: {'x' * filler}\\r\\n\\r\\n".encode()
    try:
        return pool.exchange(request).body.decode()
    except (NoResponseError, TimeoutError) as error:
        return f"{type(error).__name__}: {error}"

found = {path: ask(path) for path in ("/late", "/parts", "/chunks", "/short", "/none", "/garbage")}
found["/close"] = [ask("/close"), ask("/"), ask("/")]
found["/leave"] = ask("/leave")
gevent.sleep(0.05)
found["after /leave"] = ask("/")
found["reconnects before"] = len(again)
found["/second"] = ask("/second")
found["reconnects"] = len(again)
found["big"] = ask("/big", 8_000_000)
found["early"] = [ask("/early", 8_000_000), ask("/"), len(again) - found["reconnects"]]
jobs = [gevent.spawn(ask, "/parts") for _ in range(50)]
gevent.joinall(jobs)
found["many"] = sorted({job.value for job in jobs})
pool.close()
pool = ConnectionPool(f"http://127.0.0.1:{server.server_port}", timeout=4)
accepted.clear()
gevent.sleep(0.02)
ended = []
for _ in range(70):
    pool.send(b"GET /late HTTP/1.1\\r\\n\\r\\n", lambda response, fault: ended.append(fault))
found["opened at once"] = len(pool._deadlines)
while len(accepted) < 70 and len(ended) < 70:
    gevent.sleep(0.01)
found["opened later"] = len(accepted)
while len(ended) < 70:
    gevent.sleep(0.01)
found["ended"] = len(ended)
pool.close()
pool = ConnectionPool(f"http://127.0.0.1:{server.server_port}", timeout=0.1)
pool._room = 1
jobs = [gevent.spawn(ask, "/late") for _ in range(3)]
gevent.joinall(jobs)
found["no room"] = sorted(job.value for job in jobs)
pool.close()
secured = gevent.server.StreamServer(
    ("127.0.0.1", 0), serve, keyfile=sys.argv[1], certfile=sys.argv[2]
)
secured.start()
pool = ConnectionPool(f"https://127.0.0.1:{secured.server_port}", timeout=10)
found["tls"] = [ask(path) for path in ("/", "/parts", "/chunks", "/close", "/short")]
found["tls big"] = ask("/big", 8_000_000)
pool.close()
server.stop()
pool = ConnectionPool(f"http://127.0.0.1:{server.server_port or 1}", timeout=3)
found["gone"] = ask("/")
print(json.dumps(found))
"""


def _self_signed(folder: Path) -> tuple[Path, Path]:
    """Write a key and its certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    address = x509.IPAddress(ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "key.pem", folder / "certificate.pem"
    paths[0].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    paths[1].write_bytes(made.public_bytes(Encoding.PEM))
    return paths


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what a pool received, in a process that uses gevent."""
    key, certificate = _self_signed(tmp_path_factory.mktemp("tls"))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(key), str(certificate)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env={**os.environ, "SSL_CERT_FILE": str(certificate)},
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("path", ["/parts", "/chunks", "big", "after /leave"])
def test_a_whole_response_is_read_however_it_arrives(found: dict[str, Any], path: str) -> None:
    """Byte by byte, in chunks, after a long request, on a new connection after the old one."""
    assert found[path] == "ok"


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("/late", "TimeoutError"),
        ("/short", "closed early"),
        ("/none", "closed early"),
        ("/garbage", "not HTTP"),
        ("gone", "ConnectionRefusedError"),
    ],
)
def test_the_reason_without_a_response_is_said(
    found: dict[str, Any], path: str, fault: str
) -> None:
    """Each fault of a connection ends its request, and only that."""
    assert fault in found[path]


def test_a_response_that_closes_its_connection_is_followed_by_a_new_one(
    found: dict[str, Any],
) -> None:
    """``Connection: close`` is kept."""
    assert found["/close"] == ["ok"] * 3


def test_a_request_that_meets_a_closed_connection_is_sent_once_more(found: dict[str, Any]) -> None:
    """It is counted; a connection that was seen to close is not used for one."""
    assert (found["reconnects before"], found["/second"], found["reconnects"]) == (0, "ok", 1)


def test_requests_that_overlap_have_connections_of_their_own(found: dict[str, Any]) -> None:
    """No response reaches another request."""
    assert found["many"] == ["ok"]


def test_many_connections_are_opened_one_after_the_other(found: dict[str, Any]) -> None:
    """Opening thousands at once would delay the requests that are due meanwhile."""
    assert found["opened at once"] == 20
    assert (found["opened later"], found["ended"]) == (70, 70)


def test_a_request_without_a_connection_ends_in_time(found: dict[str, Any]) -> None:
    """It has no response then, as if its server were silent."""
    silent, waiting = "TimeoutError: no response", "TimeoutError: no free connection"
    assert [one[: len(waiting)] for one in found["no room"]][:1] == [waiting]
    assert any(one.startswith(silent) for one in found["no room"])


def test_responses_over_tls_are_read_as_others_are(found: dict[str, Any]) -> None:
    """TLS holds data that the socket does not show, and may refuse to write at once."""
    *whole, short = found["tls"]
    assert whole == ["ok"] * 4
    assert short == "NoResponseError: the connection was closed early"
    assert found["tls big"] == "ok"


def test_a_connection_whose_request_was_answered_early_is_not_used_again(
    found: dict[str, Any],
) -> None:
    """What was not sent of the long request would stand before the next one."""
    assert found["early"] == ["ok", "ok", 0]
