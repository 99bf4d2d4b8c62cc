"""Runs the issuing app on uvicorn, as ``linqi serve`` does."""

from __future__ import annotations

import copy
import functools
import ipaddress
import os
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import uvicorn
from uvicorn.config import LOGGING_CONFIG
from uvicorn.supervisors import Multiprocess

from linqi import ConfigurationError, RenewalSettings
from linqi_storm.serve.app import create_app
from linqi_storm.serve.data_folder import open_data_folder

__all__ = ["PASSWORD_VARIABLE", "ServeOptions", "serve"]

PASSWORD_VARIABLE: Final = "LINQI_DEMO_PASSWORD"
"""Environment variable with the demo users' password, as other users can read command lines."""

_LOG_LEVELS: Final = ("debug", "info", "warning", "error")
_BACKLOG: Final = 2048
_GRACE_SECONDS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """The address, keys and process settings of the issuing app.

    Raises:
        ConfigurationError: With every option that is out of range.

    """

    host: str = "127.0.0.1"
    port: int = 8000
    """0 chooses a free port."""
    data: Path = Path("data")
    """The folder of keys and users, created by the first start."""
    issuer: str = "https://issuer.linqi.example"
    audience: str = "linqi-demo"
    alg: str = "ES256"
    settings: RenewalSettings = field(default_factory=RenewalSettings)
    workers: int = 1
    is_timed: bool = False
    """Whether to measure verification times for ``GET /stats``."""
    log_level: str = "info"
    """One of debug, info, warning, error."""
    certificate: Path | None = None
    """A PEM file; with `private_key` the app is served over TLS."""
    private_key: Path | None = None

    def __post_init__(self) -> None:
        faults = []
        if not 0 <= self.port <= 65_535:
            faults.append(f"the port is {self.port}, expected 0 to 65535")
        if not 1 <= self.workers <= 64:
            faults.append(f"workers is {self.workers}, expected 1 to 64")
        if self.log_level not in _LOG_LEVELS:
            faults.append(f"the log level is {self.log_level!r}, expected one of {_LOG_LEVELS}")
        if (self.certificate is None) != (self.private_key is None):
            faults.append("certificate and private_key: one is given, expected both or neither")
        named = [path for path in (self.certificate, self.private_key) if path is not None]
        faults.extend(f"{path} is not a file" for path in named if not path.is_file())
        if faults:
            raise ConfigurationError(faults)

    @property
    def is_loopback(self) -> bool:
        """Whether the host is reachable from this machine only."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def serve(options: ServeOptions) -> int:
    """Serve until a signal ends the process; the first line of output is the URL.

    Returns:
        The exit code, 0.

    Raises:
        OSError: If the address is not available.

    """
    password = os.environ.get(PASSWORD_VARIABLE) or None
    prepared = open_data_folder(options.data, alg=options.alg, password=password)
    listener = _listen(options.host, options.port)
    print(f"serving on {_url(options, listener)}", flush=True)
    if prepared.new_password is not None:
        print(f"users alice and bob, password {prepared.new_password} (shown once)", flush=True)
    if not options.is_loopback:
        print(
            f"warning: {options.host} can be reached from other machines;"
            " do not expose the demo users",
            file=sys.stderr,
        )
    config = _config(options)
    with listener:
        if options.workers > 1:
            Multiprocess(config, [listener]).run()
        else:
            uvicorn.Server(config).run([listener])
    return 0


def _config(options: ServeOptions) -> uvicorn.Config:
    app = functools.partial(
        create_app,
        options.data,
        issuer=options.issuer,
        audience=options.audience,
        settings=options.settings,
        alg=options.alg,
        is_timed=options.is_timed,
    )
    return uvicorn.Config(
        app,
        factory=True,  # worker processes receive a pickle: a partial has one, an app has not
        loop="auto",  # uvloop, and on Windows asyncio
        http="httptools",
        ws="none",
        workers=options.workers,
        log_level=options.log_level,
        log_config=_log_config(options.log_level),
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        ssl_certfile=options.certificate,
        ssl_keyfile=options.private_key,
    )


def _log_config(level: str) -> dict[str, Any]:
    """Return uvicorn's logging configuration with linqi's logger."""
    config = copy.deepcopy(LOGGING_CONFIG)
    config["loggers"]["linqi"] = {
        "handlers": ["default"],
        "level": level.upper(),
        "propagate": False,
    }
    return config


def _listen(host: str, port: int) -> socket.socket:
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return socket.create_server(address, family=family, backlog=_BACKLOG)


def _url(options: ServeOptions, listener: socket.socket) -> str:
    scheme = "http" if options.certificate is None else "https"
    host = f"[{options.host}]" if ":" in options.host else options.host
    return f"{scheme}://{host}:{listener.getsockname()[1]}"
