"""The reader of events, which every sink of metrics has."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

from linqi import events
from linqi.events import Event
from linqi.instrumentation.metric import Metric, Reading
from linqi.instrumentation.metrics import METRICS, CacheCounted, LateToken

__all__ = ["CountedCache", "EventReader"]

_REMEMBERED: Final = 4_096


class CountedCache(Protocol):
    """A cache that knows its counters, such as `VerifiedCache`."""

    def info(self) -> Any:
        """Return its ``hits``, ``misses``, ``evictions`` since it was made, and ``entries``."""
        ...


class EventReader:
    """Reads what events add to the metrics, and passes it to a sink; it is a hook.

    The last 4,096 expired tokens are remembered, so that a client that presents one again and again
    counts once. Quiet requests do not count as late: no user returned.

    Args:
        record: Called with a metric, a value and the values of its labels.

    """

    def __init__(self, record: Callable[[Metric, float, tuple[str, ...]], object]) -> None:
        self._record = record
        self._expired: OrderedDict[str, None] = OrderedDict()
        self._caches: WeakKeyDictionary[CountedCache, tuple[int, int, int]] = WeakKeyDictionary()
        self._counting = Lock()
        self._readings: dict[type[Any], list[tuple[Metric, Reading]]] = {}
        for metric in METRICS:
            for event, reading in metric.readings.items():
                self._readings.setdefault(event, []).append((metric, reading))

    def __call__(self, event: Event | LateToken | CacheCounted) -> None:
        """Record what `event` adds to each metric."""
        for metric, reading in self._readings.get(type(event), ()):
            for value, labels in reading(event):
                self._record(metric, value, labels)
        if isinstance(event, events.TokenRefused) and self._is_first_late(event):
            is_lost = event.buffer is not None and (event.expired_for or 0) < event.buffer
            self(LateToken(lag=event.lag, is_lost=is_lost))

    def watch_cache(self, cache: CountedCache) -> None:
        """Count what `cache` does, whenever `count_caches` is called."""
        self._caches.setdefault(cache, (0, 0, 0))

    def count_caches(self) -> None:
        """Record what the caches did since the last call; a hit itself records nothing."""
        if not self._caches:
            return
        with self._counting:  # sinks read in threads of their own
            total = [0, 0, 0, 0]
            for cache, before in list(self._caches.items()):
                info = cache.info()
                now = (info.hits, info.misses, info.evictions)
                self._caches[cache] = now
                changes = [after - earlier for after, earlier in zip(now, before, strict=True)]
                total = [a + b for a, b in zip(total, [*changes, info.entries], strict=True)]
        hits, misses, evictions, entries = total
        self(CacheCounted(hits=hits, misses=misses, evictions=evictions, entries=entries))

    def _is_first_late(self, event: events.TokenRefused) -> bool:
        if event.expired_for is None or event.quiet or event.token_digest in self._expired:
            return False
        self._expired[event.token_digest] = None
        if len(self._expired) > _REMEMBERED:
            self._expired.popitem(last=False)
        return True
