"""The CPU time of a generator process, recorded every second."""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent

from linqi_storm.clients.load_counts import LoadRecorder

__all__ = ["watch_generator"]


def watch_generator(
    recorder: LoadRecorder, now: Callable[[], float], in_flight: Callable[[], int]
) -> None:
    """Record the CPU time of this process every second, until the greenlet is killed.

    Args:
        recorder: Receives the shares of a core.
        now: Returns the seconds since the barrier.
        in_flight: Returns the number of requests without a response.

    """
    before, at = time.process_time(), now()
    while True:
        gevent.sleep(1 - now() % 1)
        used, later = time.process_time(), now()
        share = (used - before) / max(later - at, 1e-3)
        recorder.note(int(at), in_flight=in_flight(), cpu=share)
        before, at = used, later
