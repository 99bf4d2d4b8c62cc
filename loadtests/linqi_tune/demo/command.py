"""``linqi demo``: runs the main job."""

from __future__ import annotations

import argparse
from pathlib import Path

from linqi.jose.key import ALGORITHMS

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument(
        "--storm-seconds", type=float, default=45, help="of both storms; 0: none, and no tuning"
    )
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="folder of reports and settings"
    )
    parser.add_argument("--alg", choices=ALGORITHMS, default="ES256")
    parser.add_argument("--lifetime-seconds", type=float, default=20)
    parser.add_argument("--buffer-seconds", type=float, default=8)


def run(arguments: argparse.Namespace) -> int:
    """Run it; 0 if all that must hold held, 1 if not."""
    from linqi_tune.demo.demo import run_demo

    return run_demo(
        seconds=arguments.seconds,
        lifetime=arguments.lifetime_seconds,
        buffer=arguments.buffer_seconds,
        alg=arguments.alg,
        storm_seconds=arguments.storm_seconds,
        results=arguments.results,
    )
