"""The law of the visitors of a log, and the histories of a sample of them."""

from __future__ import annotations

from array import array
from collections import defaultdict
from typing import Final

from linqi_tune.evidence.log_engine import LogEngine
from linqi_tune.evidence.log_pages import DAY
from linqi_tune.model.gaps import GapDistribution
from linqi_tune.model.histories import Histories
from linqi_tune.model.measurements import Visitors

__all__ = ["MOST_PAGES", "histories_of", "visitors_of"]

MOST_PAGES: Final = 2_000_000
"""Pages in the histories: 16 MB."""
_GROUPS: Final = 64
_PER_E_FOLD: Final = 40
"""Bins of a pause per factor of e: 2.5 % each; their means stay exact."""
_MINUTE: Final = 60

_Bins = dict[int, dict[float, tuple[float, float]]]


def visitors_of(engine: LogEngine, lifetime: float, source: str) -> Visitors:
    """Return the law of the visitors from the tables of `build_pages`.

    A person that came within `lifetime` seconds counts as active, and one that came within them of
    the end of the log has a gap that is not over.
    """
    closed = _binned(engine, "SELECT number, pause AS gap FROM pages WHERE pause < ?", DAY)
    still_open = _binned(engine, _SILENT, lifetime)
    over, still = (
        sum(count for bins in groups.values() for count, _ in bins.values())
        for groups in (closed, still_open)
    )
    groups = [
        GapDistribution.binned(bins).completed(GapDistribution.binned(still_open.get(group, {})))
        for group, bins in sorted(closed.items())
    ]
    active = int(engine.row(_MOST_ACTIVE, [lifetime, lifetime, lifetime])[0] or 0)
    logins = (engine.row(_MOST_LOGINS, [lifetime])[0] or 0) / _MINUTE
    parallel = engine.rows("SELECT requests, count(*) FROM pages GROUP BY requests ORDER BY 1")
    return Visitors(
        groups=groups or [GapDistribution([])],
        parallel=[(float(size), float(count)) for size, count in parallel],
        popularity=_popularity(engine),
        sessions=active,
        peak_rps=float(engine.row(_PEAK)[0] or 0),
        login_spread=active / logins if logins else 0.0,
        open_share=still / (still + over) if still else 0.0,
        source=source,
    )


def histories_of(engine: LogEngine, seconds: float, most_pages: int = MOST_PAGES) -> Histories:
    """Return the pages of a random sample of persons, at most about `most_pages` of them.

    The sample is drawn by a hash of the person's number, so a log gives the same one every time.
    """
    persons, pages = engine.row("SELECT count(DISTINCT number), count(*) FROM pages")
    share = min(1.0, most_pages / max(1, pages))
    sampled = engine.batches(_HISTORIES, [round(share * 2**32)])
    return Histories(
        pages=[array("d", instants) for batch in sampled for (instants,) in batch],
        seconds=seconds,
        persons=persons,
    )


def _binned(engine: LogEngine, gaps: str, parameter: float) -> _Bins:
    """Return the count and the sum of gaps by group of persons and bin."""
    rows = engine.rows(
        f"SELECT number % {_GROUPS}, CAST(round(ln(gap) * {_PER_E_FOLD}) AS INTEGER) AS bin,"
        f" count(*), sum(gap) FROM ({gaps}) WHERE gap > 0 GROUP BY ALL ORDER BY ALL",
        [parameter],
    )
    bins: _Bins = defaultdict(dict)
    for group, place, count, total in rows:
        bins[group][place] = (float(count), float(total))
    return bins


def _popularity(engine: LogEngine) -> list[tuple[float, float]]:
    """Return the shares of presence by rate, each a factor of 2 wide, against the mean rate."""
    counted = engine.rows(_PRESENCES)
    total = sum(weight for _, weight in counted)
    if not total:
        return [(1.0, 1.0)]
    mean = sum(2.0**place * weight for place, weight in counted) / total
    return [(weight / total, 2.0**place / mean) for place, weight in counted]


_SILENT: Final = """
SELECT number, gap FROM (
  SELECT number, (SELECT max(ended) FROM pages) - max(ended) AS gap FROM pages GROUP BY number
) WHERE gap < ?"""
_HISTORIES: Final = """
SELECT list(began - (SELECT min(began) FROM pages) ORDER BY page) FROM pages
WHERE hash(number) % 4294967296 < ? GROUP BY number ORDER BY number"""
_PEAK: Final = """
SELECT max(n) FROM (SELECT count(*) AS n FROM counted GROUP BY CAST(floor(instant) AS BIGINT))"""
# A person is active from its page until a lifetime after it.
_MOST_ACTIVE: Final = """
SELECT max(active) FROM (
  SELECT sum(step) OVER (ORDER BY at_second, step ROWS UNBOUNDED PRECEDING) AS active
  FROM (
    SELECT began AS at_second, 1 AS step FROM pages WHERE coalesce(pause > ?, true)
    UNION ALL
    SELECT ended + ? AS at_second, -1 AS step FROM (
      SELECT ended, lead(pause) OVER (PARTITION BY number ORDER BY page) AS next FROM pages
    ) WHERE coalesce(next > ?, true)
  )
)"""
# Who is there when the log begins has not signed in just then.
_MOST_LOGINS: Final = f"""
SELECT max(n) FROM (
  SELECT began, count(*) OVER (ORDER BY began RANGE BETWEEN {_MINUTE} PRECEDING AND CURRENT ROW)
    AS n
  FROM pages WHERE coalesce(pause >= {DAY}, true)
) WHERE began > ? + (SELECT min(began) FROM pages)"""
_PRESENCES: Final = f"""
SELECT CAST(round(log2((pages - 1) / stayed)) AS INTEGER) AS place,
  CAST(sum(floor(stayed) + 1) AS DOUBLE) AS weight
FROM (
  SELECT count(*) AS pages, max(ended) - min(began) AS stayed
  FROM (
    SELECT number, began, ended, sum(CAST(coalesce(pause >= {DAY}, false) AS INTEGER)) OVER (
      PARTITION BY number ORDER BY page ROWS UNBOUNDED PRECEDING) AS stay
    FROM pages
  ) GROUP BY number, stay
) WHERE pages > 1 AND stayed > 0 GROUP BY place ORDER BY place"""
