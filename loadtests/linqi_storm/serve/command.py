"""``linqi serve``: runs the issuing app."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from linqi import RenewalSettings
from linqi.commands.command_help import CommandHelp, Example
from linqi.jose.key import ALGORITHMS

__all__ = ["HELP", "add_options", "run"]

HELP: Final = CommandHelp(
    examples=[
        Example("linqi serve", "serve on http://127.0.0.1:8000/ with a page to try"),
        Example(
            "linqi serve --port 0 --lifetime-seconds 20 --buffer-seconds 8",
            "a free port, and tokens whose renewals can be watched",
        ),
    ],
    exits={
        0: "a signal ended the server",
    },
)

_COMPRESSED_SECONDS: Final = 60
"""Shorter lifetimes are compressed; whole-second times would bundle their renewals."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``linqi serve``."""
    parser.add_argument("--host", default="127.0.0.1", help="default: loopback")
    parser.add_argument(
        "--port", type=int, default=8000, help="0 chooses a free port; default 8000"
    )
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of keys and users")
    parser.add_argument("--workers", type=int, default=1, help="server processes, 1 to 64")
    parser.add_argument("--timed", action="store_true", help="time verification for GET /stats")
    parser.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="info",
        help="the least level of what the servers log",
    )
    parser.add_argument("--certificate", type=Path, help="a PEM file, to serve over TLS")
    parser.add_argument("--private-key", type=Path, help="the PEM file of its private key")
    parser.add_argument("--alg", choices=ALGORITHMS, default="ES256", help="of new keys")
    parser.add_argument("--lifetime-seconds", type=float, default=900, help="of access tokens")
    parser.add_argument("--buffer-seconds", type=float, default=300, help="renewal buffer")


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal ends the process; return 0."""
    from linqi_storm.serve.server import ServeOptions, serve

    return serve(
        ServeOptions(
            host=arguments.host,
            port=arguments.port,
            data=arguments.data,
            alg=arguments.alg,
            settings=RenewalSettings(
                lifetime=arguments.lifetime_seconds,
                buffer=arguments.buffer_seconds,
                whole_seconds=arguments.lifetime_seconds >= _COMPRESSED_SECONDS,
            ),
            workers=arguments.workers,
            is_timed=arguments.timed,
            log_level=arguments.log_level,
            certificate=arguments.certificate,
            private_key=arguments.private_key,
        )
    )
