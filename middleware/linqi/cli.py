"""The command line: settings, keys, tokens, stores, logins, and the issuing app."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from linqi import __version__
from linqi.commands import bench, check, init, jwks, keygen, store
from linqi.errors import LinqiError, TokenError
from linqi.jose._gate import decode_segment, parse_object, split_token
from linqi.jose.issuers import TrustedIssuer
from linqi.jose.key import ALGORITHMS
from linqi.jose.keys import KeySet
from linqi.jose.verifier import Limits, Verifier
from linqi.login import login, logout, token
from linqi.sessions.renewal import RenewalSettings
from linqi_tune import command as tune

__all__ = ["main"]

_COMPRESSED_SECONDS: Final = 60
"""Shorter lifetimes are a compressed demonstration, which whole-second times would bundle."""

_GENERATOR: Final = ("gevent", "hdrh", "locust", "psutil", "starlette", "uvicorn")
"""What the processes of a storm need, which could only say so in their logs."""

_EXTRAS: Final = {
    **dict.fromkeys(("login", "logout", "token"), "client"),
    **{"jwks": "remote", "tune": "tune", "storm": "storm", "demo": "serve,storm"},
}
"""What a command needs beside the library, where it is not ``linqi[serve]``."""

_OPTIONAL: Final = {
    **{"keyring": "keyring", "redis": "valkey", "asyncpg": "postgres"},
    **dict.fromkeys(_GENERATOR[:4], "storm"),
}
"""What brings a module that is missing, where it is not the extra of the command."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; 0 for success, 1 for a refused token, 2 for a wrong call."""
    arguments = _parser().parse_args(argv)
    try:
        run: Callable[[argparse.Namespace], int] = arguments.run
        return run(arguments)
    except KeyboardInterrupt:
        return 130
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("linqi"):
            raise
        extra = _OPTIONAL.get(error.name or "", arguments.extra)
        return _complain(f"{error.name} is not installed; pip install 'linqi[{extra}]'")
    except (LinqiError, OSError, ValueError) as error:
        return _complain(str(error))


def _complain(message: str) -> int:
    print(f"linqi: {message}", file=sys.stderr)
    return 2


def _inspect(arguments: argparse.Namespace) -> int:
    limits = Limits()
    token = _token(arguments.token)
    try:
        _, first, second, _ = split_token(token, limits.token_bytes, limits.header_bytes)
        header = parse_object(decode_segment(first), "header")
        claims = parse_object(decode_segment(second), "payload")
    except TokenError as error:
        return _refused(error)
    print("UNVERIFIED: anybody can write this; use `linqi verify` to check it", file=sys.stderr)
    print(json.dumps({"header": header, "claims": claims}, indent=2))
    expires_at = claims.get("exp")
    if isinstance(expires_at, int | float):
        left = expires_at - time.time()
        state = f"expires in {left:.0f} s" if left > 0 else f"expired {-left:.0f} s ago"
        print(state, file=sys.stderr)
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    verifier = Verifier(
        TrustedIssuer(
            issuer=arguments.issuer,
            audience=arguments.audience,
            keys=KeySet.load(arguments.keys, arguments.algorithms),
            algorithms=arguments.algorithms,
        ),
        leeway=arguments.leeway_seconds,
        cache=None,
    )
    try:
        verified = verifier.verify(_token(arguments.token))
    except TokenError as error:
        return _refused(error)
    print(json.dumps(dict(verified.claims), indent=2))
    return 0


def _serve(arguments: argparse.Namespace) -> int:
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


def _demo(arguments: argparse.Namespace) -> int:
    from linqi_tune.demo.demo import run_demo

    return run_demo(
        seconds=arguments.seconds,
        lifetime=arguments.lifetime_seconds,
        buffer=arguments.buffer_seconds,
        alg=arguments.alg,
        storm_seconds=arguments.storm_seconds,
        results=arguments.results,
    )


def _storm(arguments: argparse.Namespace) -> int:
    from linqi_storm.command import run

    if arguments.scenario != "report" and not arguments.list:
        _find(*_GENERATOR)
    return run(arguments)


def _find(*names: str) -> None:
    """Raise `ModuleNotFoundError` for what is not installed, without importing it."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def _refused(error: TokenError) -> int:
    print(f"refused: {error.code}: {error.detail}", file=sys.stderr)
    return 1


def _token(argument: str) -> bytes:
    """Take the token from the command line, or from standard input for ``-``."""
    text = sys.stdin.readline() if argument == "-" else argument
    return text.strip().removeprefix("Bearer ").encode("utf-8", "replace")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("linqi", description="Short-lived tokens, long sessions.")
    parser.add_argument("--version", action="version", version=f"linqi {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    token_help = "the token, or - to read it from standard input, which keeps it out of the history"

    init.add_options(_command(commands, "init", init.run, "write a linqi.toml with every default"))
    check.add_options(_command(commands, "check", check.run, "look critically at linqi.toml"))
    keygen.add_options(_command(commands, "keygen", keygen.run, "make or rotate a key"))
    jwks.add_options(_command(commands, "jwks", jwks.run, "show a published key set and lint it"))

    tune.add_options(_command(commands, "tune", tune.run, tune.DESCRIPTION))
    bench.add_options(_command(commands, "bench", bench.run, bench.DESCRIPTION))
    store.add_options(_command(commands, "store", store.run, "make or tidy a session store"))

    login.add_options(_command(commands, "login", login.run, "sign in, for curl and programs"))
    logout.add_options(_command(commands, "logout", logout.run, "end a session of linqi login"))
    token.add_options(_command(commands, "token", token.run, "print the access token of a login"))

    inspect = _command(commands, "inspect", _inspect, "show what a token says, without trusting it")
    inspect.add_argument("token", help=token_help)

    verify = _command(commands, "verify", _verify, "verify a token")
    verify.add_argument("token", help=token_help)
    verify.add_argument("--keys", type=Path, required=True, help="a JWKS file")
    verify.add_argument("--issuer", required=True)
    verify.add_argument("--audience", required=True)
    verify.add_argument("--algorithms", nargs="+", required=True, choices=ALGORITHMS)
    verify.add_argument("--leeway-seconds", type=float, default=0)

    serve = _command(commands, "serve", _serve, "run the issuing app")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    serve.add_argument("--data", type=Path, default=Path("data"), help="folder of keys and users")
    serve.add_argument("--workers", type=int, default=1)
    serve.add_argument("--timed", action="store_true", help="time verification for GET /stats")
    serve.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    serve.add_argument("--certificate", type=Path, help="a PEM file, to serve over TLS")
    serve.add_argument("--private-key", type=Path, help="the PEM file of its private key")
    demo = _command(commands, "demo", _demo, "run the main job: a server, a user, renewals")
    demo.add_argument("--seconds", type=float, default=30)
    demo.add_argument(
        "--storm-seconds", type=float, default=45, help="of both storms; 0: none, and no tuning"
    )
    demo.add_argument(
        "--results", type=Path, default=Path("results"), help="folder of reports and settings"
    )
    with contextlib.suppress(ModuleNotFoundError):  # a copy of the middleware alone
        from linqi_storm import command as storm

        storm.add_options(_command(commands, "storm", _storm, "storm an app while tokens expire"))
    for command, lifetime, buffer in ((serve, 900, 300), (demo, 20, 8)):
        command.add_argument("--alg", choices=ALGORITHMS, default="ES256")
        command.add_argument("--lifetime-seconds", type=float, default=lifetime)
        command.add_argument("--buffer-seconds", type=float, default=buffer)
    return parser


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], text: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(run=run, extra=_EXTRAS.get(name, "serve"))
    return parser
