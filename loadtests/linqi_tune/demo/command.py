"""``linqi demo``: runs the demonstration."""

from __future__ import annotations

import argparse
from pathlib import Path

from linqi.jose.key import ALGORITHMS

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument(
        "--storm-seconds",
        type=float,
        default=45,
        help="seconds of both storms together; 0 for no storm and no tuning",
    )
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="folder for reports and settings"
    )
    parser.add_argument("--alg", choices=ALGORITHMS, default="ES256")
    parser.add_argument("--lifetime-seconds", type=float, default=20)
    parser.add_argument("--buffer-seconds", type=float, default=8)


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
