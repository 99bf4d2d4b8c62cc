"""The echo application over TLS in its own process, and what arrived there."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trustme

from linqi_report.processes import running

__all__ = ["Arrived", "echo_over_tls"]


@contextlib.contextmanager
def echo_over_tls(folder: Path, node: Path | None = None) -> Iterator[str]:
    """Serve on loopback, and return the URL; clients of this process accept its certificate.

    WebKit keeps Secure cookies for https only, on loopback too. ``/node`` serves the folder `node`.
    """
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        folder / "cert.pem"
    )
    environment = {"PYTHONPATH": str(Path(__file__).parent), "ECHO_NODE": str(node or "")}
    command = ["echo_app", "0", str(folder / "cert.pem"), str(folder / "cert.pem")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))
        with running(command, folder / "log", health="/", environment=environment) as url:
            yield url


class Arrived:
    """What arrives at the server from now on."""

    def __init__(self, server: str) -> None:
        self._url = f"{server}/seen"
        httpx2.get(self._url)
        self._requests: list[dict[str, Any]] = []

    def all(self) -> list[dict[str, Any]]:
        """Return every request until now."""
        self._requests += httpx2.get(self._url).json()
        return self._requests

    def count(self, path: str) -> int:
        """Return the number of POST requests to `path`."""
        return sum(one["method"] == "POST" and one["path"] == path for one in self.all())

    def refused(self, path: str) -> int:
        """Return the number of responses of `path` with status 401."""
        return sum(one["status"] == 401 and one["path"] == path for one in self.all())
