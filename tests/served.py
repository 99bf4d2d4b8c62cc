"""`linqi serve` as a process of its own."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import httpx2

from linqi_storm.serve.server import PASSWORD_VARIABLE
from signed_in import PASSWORD


class Server:
    """A `linqi serve` that can be stopped and started again on its port."""

    def __init__(self, data: Path, *arguments: str, password: str | None = PASSWORD) -> None:
        self.log = data.with_suffix(".log")
        self.log.write_bytes(b"")
        self.base = ""
        self._arguments = ["--data", str(data), *arguments]
        self._environment = {k: v for k, v in os.environ.items() if k != PASSWORD_VARIABLE}
        if password is not None:
            self._environment[PASSWORD_VARIABLE] = password

    @property
    def url(self) -> str:
        """The URL with a host name, because the browser binds cookies to names."""
        return self.base.replace("127.0.0.1", "localhost")

    def start(self) -> Self:
        """Start it, on a free port the first time, and wait until it answers."""
        port = self.base.rpartition(":")[2] or "0"
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "linqi", "serve", "--port", port, *self._arguments],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        for _ in range(1200):
            found = re.search(r"serving on (\S+)", self.log.read_text())
            if found:
                try:
                    httpx2.get(f"{found[1]}/healthz", verify=False, timeout=2)
                except httpx2.TransportError:
                    pass
                else:
                    self.base = found[1]
                    return self
            assert self._process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def stop(self, how: int = signal.SIGTERM) -> None:
        """End the process."""
        self._process.send_signal(how)
        self._process.wait(60)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Return a context manager in which the process gets no core."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def login(self, username: str = "alice", password: str = PASSWORD) -> httpx2.Response:
        """Post a login."""
        fields = {"username": username, "password": password}
        return httpx2.post(f"{self.base}/login", json=fields, timeout=20)
