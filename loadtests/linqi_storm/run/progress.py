"""Shows how a storm goes on: one line that renews itself, or lines where there is no terminal."""

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
    """Give what shows progress on `console` while the context lasts."""
    if console.is_terminal:
        with console.status("starting") as status:

            def renew(text: str, second: float, totals: LoadTotals) -> None:
                if text:
                    console.print(f"[dim]{_clock(second, duration)}[/dim] {escape(text)}")
                status.update(escape(_line(second, duration, totals)))

            yield renew
        return
    last = -_PLAIN_EVERY

    def tell(text: str, second: float, totals: LoadTotals) -> None:
        nonlocal last
        if text:
            console.print(f"{_clock(second, duration)} {text}", markup=False, highlight=False)
        elif second - last >= _PLAIN_EVERY:
            last = second
            console.print(_line(second, duration, totals), markup=False, highlight=False)

    yield tell


def _clock(second: float, duration: float) -> str:
    return "     " if second < 0 else f"{min(second, duration):4.0f} s"


def _line(second: float, duration: float, totals: LoadTotals) -> str:
    """Give one line: how far it is, and what the last whole second was like."""
    live = live_figures(totals)
    if live is None:
        return f"{_clock(second, duration)} of {duration:.0f} s"
    return (
        f"{_clock(second, duration)} of {duration:.0f} s: {live.requests} requests/s,"
        f" {live.renewals} renewals/s, p99 {live.p99_ms:.0f} ms,"
        f" lost {live.forced_out + live.lapsed}, wrong {live.wrong}"
    )
