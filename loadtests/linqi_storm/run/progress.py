"""The progress of a storm: one updated line on a terminal, else a line every 5 seconds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final

from rich.console import Console
from rich.markup import escape

from linqi_storm.clients.load_counts import LoadTotals
from linqi_storm.run.live_figures import live_figures
from linqi_storm.run.runner import Progress

__all__ = ["shown_progress"]

_PLAIN_EVERY: Final = 5.0


@contextlib.contextmanager
def shown_progress(console: Console, duration: float) -> Iterator[Progress]:
    """Yield a function that shows progress on `console`, for a run of `duration` seconds."""
    if console.is_terminal:
        with console.status("starting") as status:

            def update(text: str, second: float, totals: LoadTotals) -> None:
                if text:
                    console.print(f"[dim]{_clock(second, duration)}[/dim] {escape(text)}")
                status.update(escape(_line(second, duration, totals)))

            yield update
        return
    last = -_PLAIN_EVERY

    def print_line(text: str, second: float, totals: LoadTotals) -> None:
        nonlocal last
        if text:
            console.print(f"{_clock(second, duration)} {text}", markup=False, highlight=False)
        elif second - last >= _PLAIN_EVERY:
            last = second
            console.print(_line(second, duration, totals), markup=False, highlight=False)

    yield print_line


def _clock(second: float, duration: float) -> str:
    return "     " if second < 0 else f"{min(second, duration):4.0f} s"


def _line(second: float, duration: float, totals: LoadTotals) -> str:
    """Return one line: the second, and the figures of the last complete second."""
    live = live_figures(totals)
    if live is None:
        return f"{_clock(second, duration)} of {duration:.0f} s"
    return (
        f"{_clock(second, duration)} of {duration:.0f} s: {live.requests} requests/s,"
        f" {live.renewals} renewals/s, p99 {live.p99_ms:.0f} ms,"
        f" sessions lost {live.forced_out + live.lapsed}, violations {live.wrong}"
    )
