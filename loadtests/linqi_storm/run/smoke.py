"""A short storm of every kind of session, for continuous integration.

``python -m linqi_storm.run.smoke`` runs sliding sessions through a rolling restart, dual tokens in
tabs, and an outside issuer that fails, one after the other. A broken invariant fails it. A
generator that fell behind does not: machines of continuous integration are shared, and the
invariants are counted all the same.
"""

from __future__ import annotations

import dataclasses
import sys
from typing import Final

from rich.console import Console

from linqi_storm.report.verdict import show_verdict
from linqi_storm.run.progress import shown_progress
from linqi_storm.run.runner import run_storm
from linqi_storm.schema.order import Order
from linqi_storm.schema.shape import Shape

__all__ = ["main"]

_SHAPE: Final = Shape(sessions=120, lifetime=9, buffer=3, duration=11, gap=1, compression=100)
_ORDERS: Final[tuple[tuple[str, Shape, dict[str, float]], ...]] = (
    ("deploy", _SHAPE, {"at": 6.0}),
    ("tabs", dataclasses.replace(_SHAPE, sessions=60, pages=False), {}),
    ("issuer-outage", dataclasses.replace(_SHAPE, pages=False), {"at": 2.0, "seconds": 7.0}),
)


def main() -> int:
    """Run them; 0 when every invariant held in each."""
    console = Console()
    failed = []
    for name, shape, options in _ORDERS:
        order = Order(scenario=name, shape=shape, options=options, alg="ES256")
        with shown_progress(console, shape.duration) as progress:
            run = run_storm(order, progress)
        show_verdict(console, run)
        if not run.has_passed or not run.traffic.requests or not run.sessions.renewals:
            failed.append(name)
    if failed:
        console.print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
