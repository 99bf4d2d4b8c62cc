"""The pages of each person of a log, and the pauses between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from linqi_tune.evidence.log_engine import LogEngine
from linqi_tune.evidence.quiet_paths import QuietPaths

__all__ = ["DAY", "build_pages", "count_requests", "mark_quiet_paths"]

DAY: Final = 86_400
"""A person that is silent for so many seconds is over, and begins anew."""
_PAGE_SECONDS: Final = 1


def mark_quiet_paths(engine: LogEngine, quiet: QuietPaths) -> None:
    """Create the table of the quiet paths that the table `requests` has."""
    engine.run("CREATE TABLE quiet_paths (path VARCHAR)")
    if quiet.is_empty:
        return
    for batch in engine.batches("SELECT DISTINCT path FROM requests WHERE path IS NOT NULL"):
        found = [path for (path,) in batch if quiet.include(path)]
        if found:
            engine.run("INSERT INTO quiet_paths SELECT unnest(?)", [found])


def count_requests(engine: LogEngine, condition: str = "true") -> None:
    """Create the view `counted`: requests of persons that no option leaves out.

    `condition` is SQL over the columns of `requests`.
    """
    engine.run(
        "CREATE OR REPLACE VIEW counted AS SELECT requests.rowid AS line, requests.*,"
        " path IN (SELECT path FROM quiet_paths) IS TRUE AS is_quiet FROM requests"
        f" WHERE instant IS NOT NULL AND person IS NOT NULL AND NOT is_left_out AND ({condition})"
    )


def build_pages(engine: LogEngine) -> None:
    """Create the tables `persons` and `pages` from the view `counted`.

    A person gets a number by its first request. Requests of a person within a second of the one
    before are one page; quiet requests are none. A page has its `pause` since the one before, NULL
    for the first.
    """
    for sql in _TABLES:
        engine.run(sql)


_TABLES: Final[Sequence[str]] = (
    """
CREATE OR REPLACE TABLE persons AS
SELECT person, row_number() OVER (ORDER BY first, line) - 1 AS number, first
FROM (
  SELECT person, min(instant) AS first, min(line) AS line
  FROM counted WHERE NOT is_quiet GROUP BY person
)""",
    f"""
CREATE OR REPLACE TABLE pages AS
SELECT number, page, began, ended, requests,
  began - lag(ended) OVER (PARTITION BY number ORDER BY page) AS pause
FROM (
  SELECT number, page, min(instant) AS began, max(instant) AS ended, count(*) AS requests
  FROM (
    SELECT number, instant,
      sum(CAST(begins AS INTEGER)) OVER (
        PARTITION BY number ORDER BY instant, line ROWS UNBOUNDED PRECEDING
      ) AS page
    FROM (
      SELECT number, instant, line,
        coalesce(instant - lag(instant) OVER (
          PARTITION BY number ORDER BY instant, line
        ) >= {_PAGE_SECONDS}, true) AS begins
      FROM counted JOIN persons USING (person) WHERE NOT is_quiet
    )
  )
  GROUP BY number, page
)""",
)
