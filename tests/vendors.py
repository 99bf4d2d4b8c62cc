"""Tokens and key documents of well-known issuers, as their documentation shows them.

`tests/vectors/vendors.json` has the shapes with their sources; a text that begins with $ is filled
in here: keys, certificates and times. No issuer is contacted: one server on the loopback serves
the documents of all hosts, each below a path that is the host's name.
"""

import base64
import functools
import hashlib
import hmac
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from linqi import Key

__all__ = ["SECRET", "VENDORS", "Site", "Vendor"]

VENDORS: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "vectors" / "vendors.json").read_text()
)
SECRET = "a-shared-secret-of-a-project-as-its-owner-copies-it"
"""The secret that signs the HS256 tokens of an issuer that has one."""
CLIENT = "CLIENT-ID"
"""Who may ask about opaque tokens, with the same secret."""
KUBERNETES = "/var/run/secrets/kubernetes.io/serviceaccount"
Sign = Callable[[bytes], bytes]


@functools.cache
def made(alg: str, which: str) -> tuple[Key, x509.Certificate]:
    """Return a key of the issuer, or of another one, and its certificate."""
    private: Any = (
        ec.generate_private_key(ec.SECP256R1())
        if alg == "ES256"
        else rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )
    name, now = x509.Name([]), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(private, hashes.SHA256())
    )
    return Key(private, alg, kid=which), certificate


def variables(alg: str, kid: str = "current") -> dict[str, Any]:
    """Return what the texts with $ stand for."""
    now = int(time.time())
    found: dict[str, Any] = {"$now": now, "$later": now + 3600, "$kid": kid}
    for which, prefix in (("current", "$"), ("other", "$other_")):
        key, certificate = made(alg, which)
        der = certificate.public_bytes(Encoding.DER)
        form = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        values = key.public_jwk() | {
            "x5c": base64.b64encode(der).decode(),
            "x5t": _unpadded(hashlib.sha1(der, usedforsecurity=False).digest()),
            "x5t#S256": _unpadded(hashlib.sha256(der).digest()),
            "certificate": certificate.public_bytes(Encoding.PEM).decode(),
            "pem": certificate.public_key().public_bytes(*form).decode(),
        }
        del values["kid"]
        found |= {prefix + name: value for name, value in values.items()}
    return found


@dataclass(frozen=True, slots=True)
class Vendor:
    """One issuer of the file, with the hosts of a `Site` instead of its own."""

    shape: dict[str, Any]

    @property
    def is_opaque(self) -> bool:
        """Whether its tokens say nothing to others."""
        return "token" in self.shape

    @property
    def accepted(self) -> dict[str, dict[str, Any]]:
        """The tokens that must be accepted; the first is what the documentation shows."""
        others: dict[str, dict[str, Any]] = self.shape.get("accepted", {})
        return {"as documented": {}} | others

    def expected(self, case: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
        """Return the subject and the scopes of an accepted token."""
        wanted = case.get("expects", self.shape["expects"])
        return wanted["subject"], tuple(wanted["scopes"])

    def token(self, case: Mapping[str, Any]) -> str:
        """Return the token of a case: changes to the header and the claims, and who signs it."""
        if self.is_opaque:
            return str(case.get("token", self.shape["token"]))
        header = _changed(self.shape["header"], case.get("header", {}))
        claims = _changed(self.shape["claims"], case.get("claims", {}))
        is_padded = self.shape.get("padded") and not case.get("unpadded")
        encode = _padded if is_padded else _unpadded
        parts = (encode(json.dumps(part).encode()) for part in (header, claims))
        signed = ".".join(parts)
        signature = self._sign(case.get("key", "current"))(signed.encode())
        return f"{signed}.{encode(signature)}"

    def _sign(self, who: str) -> Sign:
        if who == "none":
            return lambda _: b""
        if who == "secret":
            return Key.from_secret(SECRET, "HS256").sign
        if who == "public":  # an attacker who takes the published key for a secret
            pem = variables(self.shape["alg"])["$pem"].encode()
            return lambda data: hmac.digest(pem, data, "sha256")
        return made(self.shape["alg"], who)[0].sign


class Site:
    """A server for the documents of every issuer, by http, and by https for those that need it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bearer = "token-of-this-pod"
        self._documents: dict[tuple[str, str], Any] = {}
        authority = trustme.CA()
        authority.cert_pem.write_to_path(folder / "ca.crt")
        (folder / "token").write_text(self.bearer)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        self._servers = [self._server(is_closed=False), self._server(is_closed=True)]
        self._servers[1].socket = context.wrap_socket(self._servers[1].socket, server_side=True)

    def __enter__(self) -> Self:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.02,)).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def vendor(self, name: str) -> Vendor:
        """Return an issuer of the file, whose documents are served from now on."""
        text = self.localised(name, json.dumps(VENDORS[name]))
        found = variables(VENDORS[name]["alg"], VENDORS[name].get("kid", "current"))
        shape = _filled(json.loads(text), found)
        for address, document in shape["documents"].items():
            method, _, url = address.rpartition(" ")
            self._documents[method or "GET", urlsplit(url).path] = document
        return Vendor(shape)

    def localised(self, name: str, text: str) -> str:
        """Return `text` with the hosts of an issuer replaced by this server, and nothing else."""
        shape = VENDORS[name]
        tls = bool(shape.get("tls"))
        base = f"http{'s' * tls}://127.0.0.1:{self._servers[tls].server_port}"
        for host in shape["hosts"]:
            for scheme in ("https", "http"):
                text = text.replace(f"{scheme}://{host}", f"{base}/{host}")
        return text.replace(KUBERNETES, str(self.folder))

    def _server(self, *, is_closed: bool) -> ThreadingHTTPServer:
        """Return a server; a closed one serves only who has the token of the folder."""
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                is_known = self.headers.get("authorization") == f"Bearer {site.bearer}"
                self._answer(site._documents.get(("GET", self.path)), is_known or not is_closed)

            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers["content-length"]))
                known = site._documents.get(("POST", self.path), {})
                found = known.get(json.loads(text)["access_token"])
                self._answer(found, self.headers.get("authorization") == _basic(CLIENT, SECRET))

            def _answer(self, document: Any, is_allowed: bool) -> None:
                found = document if is_allowed else None
                body = (found if isinstance(found, str) else json.dumps(found)).encode()
                self.send_response(404 if found is None else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Write nothing."""

        return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


def _changed(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` with `changes`, of which null removes."""
    return {name: value for name, value in {**values, **changes}.items() if value is not None}


def _filled(value: Any, found: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        return {_filled(name, found): _filled(item, found) for name, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, found) for item in value]
    return found.get(value, value) if isinstance(value, str) else value


def _basic(name: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


def _unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _padded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()
