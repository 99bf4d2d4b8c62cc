"""``linqi demo``: runs the demonstration."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from linqi.commands.command_help import CommandHelp, Example
from linqi.jose.key import ALGORITHMS

__all__ = ["HELP", "add_options", "run"]

HELP: Final = CommandHelp(
    examples=[
        Example("linqi demo", "everything, in about 3 minutes"),
        Example("linqi demo --seconds 16 --storm-seconds 0", "without the storms and the tuning"),
    ],
    exits={
        0: "every check passed",
        1: "a check failed",
    },
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument(
        "--seconds",
        type=float,
        default=30,
        help="duration of the first part, of sign-in and renewals",
    )
    parser.add_argument(
        "--storm-seconds",
        type=float,
        default=45,
        help="seconds of both storms together; 0 for no storm and no tuning",
    )
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="folder for reports and settings"
    )
    parser.add_argument(
        "--alg", choices=ALGORITHMS, default="ES256", help="algorithm of the tokens"
    )
    parser.add_argument("--lifetime-seconds", type=float, default=20, help="of access tokens")
    parser.add_argument("--buffer-seconds", type=float, default=8, help="renewal buffer")


def run(arguments: argparse.Namespace) -> int:
    """Run the demonstration; return 0 if every check passed, else 1."""
    from linqi_tune.demo.demo import run_demo

    return run_demo(
        seconds=arguments.seconds,
        lifetime=arguments.lifetime_seconds,
        buffer=arguments.buffer_seconds,
        alg=arguments.alg,
        storm_seconds=arguments.storm_seconds,
        results=arguments.results,
    )
