"""A server in a private network: a certificate authority of its own, names, and what was asked."""

import contextlib
import datetime
import http.server
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """A certificate authority; `pem` is its certificate.

    Not from trustme, which signs no names with an underscore, and only authorities with key
    identifiers: those of EKS clusters have none, which Python 3.13 refuses by default.
    """

    def __init__(self, name: str = "kubernetes", days: float = 30) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
        constraint = x509.BasicConstraints(ca=True, path_length=None)
        made = self._builder(self._name, self._key).add_extension(constraint, critical=True)
        self.certificate = made.sign(self._key, hashes.SHA256())
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def context(self, folder: Path, *names: str) -> ssl.SSLContext:
        """Return the TLS context of a server that has a certificate for `names`."""
        key = ec.generate_private_key(ec.SECP256R1())
        shown = [_general_name(name) for name in names]
        made = self._builder(x509.Name([]), key).add_extension(
            x509.SubjectAlternativeName(shown), critical=True
        )
        place = folder / "server.pem"
        place.write_bytes(
            made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(place)
        return context

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey
    ) -> x509.CertificateBuilder:
        start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
        return x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=start,
            not_valid_after=self._until,
        )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    """One response."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Server:
    """A server on loopback."""

    port: int
    _listening: Any = field(repr=False)
    asked: list[Asked] = field(default_factory=list)

    def move(self, context: ssl.SSLContext) -> None:
        """Show another certificate from the next connection on."""
        self._listening.context = context

    @property
    def tokens(self) -> list[str | None]:
        """The credentials of each request, in order."""
        return [one.headers.get("authorization") for one in self.asked]

    @property
    def paths(self) -> list[str]:
        """The path of each request, in order."""
        return [one.path for one in self.asked]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Listening"

    def setup(self) -> None:
        # Here and not in the accepting thread, so that a failed handshake ends no server.
        if (context := self.server.context) is not None:
            self.request = context.wrap_socket(
                self.request, server_side=True, do_handshake_on_connect=False
            )
            try:
                self.request.do_handshake()
            except OSError:  # the client refused the certificate
                self.request.close()
                raise
        super().setup()

    def finish(self) -> None:
        super().finish()
        self.request.close()

    def do_GET(self) -> None:
        """Answer."""
        length = int(self.headers.get("content-length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, self.path, headers, self.rfile.read(length))
        self.server.facts.asked.append(asked)
        said = self.server.answer(asked)
        body = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
        self.send_response_only(said.status)
        for name, value in {**said.headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        """Answer."""
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Write no log."""


class _Listening(http.server.ThreadingHTTPServer):
    daemon_threads = True
    context: ssl.SSLContext | None
    answer: Callable[[Asked], Answer]
    facts: Server

    def handle_error(self, *_: object) -> None:
        """Write nothing about a client that went away."""


@contextlib.contextmanager
def private_server(
    answer: Callable[[Asked], Answer], context: ssl.SSLContext | None = None
) -> Iterator[Server]:
    """Serve `answer` on loopback, with TLS if there is a `context`."""
    listening = _Listening(("127.0.0.1", 0), _Handler)
    listening.context, listening.answer = context, answer
    listening.facts = Server(listening.server_port, listening)
    thread = threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield listening.facts
    finally:
        listening.shutdown()
        listening.server_close()


def resolve(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let `names` be on loopback, as the DNS of a private network would."""
    lookup = socket.getaddrinfo

    def found(host: Any, *arguments: Any, **options: Any) -> Any:
        text = host.decode() if isinstance(host, bytes) else host
        return lookup("127.0.0.1" if text in names else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", found)
