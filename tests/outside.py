"""An outside issuer over real sockets, and the programs around it."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import httpx2
import uvicorn

from clock import FakeTime
from linqi import RemoteKeys, VerifiedCache, Verifier
from linqi_storm.outside.issuer import AUDIENCE, create_issuer


class Issuer:
    """A running `linqi_storm.outside.issuer`, in a thread of its own."""

    def __init__(self, *, alg: str = "ES256", max_age: int = 300) -> None:
        self.alg = alg
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        app = create_issuer(self.url, alg=alg, max_age=max_age)
        config = uvicorn.Config(app, log_level="critical", ws="none", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],))
        self._made: list[RemoteKeys] = []
        self._client = httpx2.Client(base_url=self.url, timeout=10)

    def __enter__(self) -> Self:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.002)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self.stop()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        for keys in self._made:
            await keys.close()
        self.__exit__()

    def stop(self) -> None:
        """Close the listener, so that connections are refused."""
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)
        self._listener.close()

    def control(self, do: str, **options: Any) -> dict[str, Any]:
        """Send a command; see `linqi_storm.outside.issuer`."""
        answer = self._client.post("/control", json={"do": do, **options})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def fault(self, kind: str = "", **options: Any) -> None:
        """Misbehave from now on, or stop misbehaving if `kind` is empty."""
        self.control("fault", kind=kind, **options)

    def token(self, kid: str | None = None, **claims: Any) -> str:
        """Return a token of the issuer, signed by its current key or by `kid`."""
        answer = self._client.post("/token", json={"kid": kid, "claims": claims})
        return str(answer.json()["token"])

    def counts(self) -> tuple[int, int]:
        """Return the number of requests for discovery and for the key set."""
        counts = self._client.get("/counts").json()
        return counts["discovery"], counts["jwks"]

    def keys(self, **options: Any) -> RemoteKeys:
        """Return the issuer's remote keys, as a verifying service has them."""
        keys = RemoteKeys(self.url, [self.alg], **options)
        self._made.append(keys)
        return keys


def verifier_of(*keys: RemoteKeys, times: FakeTime | None = None, **options: Any) -> Verifier:
    """Return a verifier that trusts the issuers of `keys` and uses the clocks `times`."""
    if times is not None:
        options["cache"] = VerifiedCache(monotonic=times.monotonic)
    return Verifier([source.trust(AUDIENCE) for source in keys], **options)


@contextmanager
def running(module: str, *arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run ``python -m module``; return the URL that it prints, and the process."""
    command = [sys.executable, "-m", module, *arguments]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        (url,) = json.loads(process.stdout.readline()).values()
        yield url, process
    finally:
        process.terminate()
        process.wait(60)
        assert process.stdout is not None
        process.stdout.close()
