"""Who stands out in a log: programs, clocks, dominant sessions and shared addresses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from linqi_tune.evidence.crawlers import is_program
from linqi_tune.evidence.log_engine import LogEngine
from linqi_tune.evidence.log_pages import build_pages, count_requests
from linqi_tune.evidence.log_selection import KINDS, LogSelection

__all__ = ["Population", "find_populations", "select_kinds"]

_SHARE: Final = 0.02
_TIMES_FAIR: Final = 5
_FEWEST: Final = 20
_STEADY_PAUSES: Final = 10
_SHORTEST_PERIOD: Final = 10
_AGENTS: Final = 10
_PAGES_A_MINUTE: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """The part of one kind of sessions in a log.

    Attributes:
        kind: One of `KINDS`.
        persons: Sessions of the kind.
        requests: Their share of the requests.
        pages: Their share of the pages.
        at_risk: Their share of the pauses longer than the buffer in force, in which a token can
            expire.
        agent: The most frequent user agent of the largest of them.
        path: Its most frequent path.

    """

    kind: str
    persons: int
    requests: float
    pages: float
    at_risk: float
    agent: str
    path: str


def find_populations(engine: LogEngine, buffer: float, is_address: bool) -> list[Population]:
    """Return the kinds that the log has, and create the tables `programs` and `kinds`.

    `buffer` is the buffer in force, in seconds; `is_address` says whether persons are addresses,
    of which some are shared.
    """
    agents = engine.rows("SELECT agent FROM counted WHERE agent IS NOT NULL GROUP BY agent")
    programs = [agent for (agent,) in agents if is_program(agent)]
    engine.run("CREATE OR REPLACE TABLE programs AS SELECT unnest(?) AS agent", [programs])
    engine.run(_FACTS, [buffer])
    kinds = [_BOTS, _CRON, _DOMINANT, *([_SHARED] if is_address else [])]
    engine.run(f"CREATE OR REPLACE TABLE kinds AS {' UNION ALL '.join(kinds)}")
    found = {row[0]: row for row in engine.rows(_SHARES)}
    populations = []
    for kind in KINDS:
        if kind in found:
            _, persons, requests, pages, at_risk, largest = found[kind]
            agent, path = engine.row(_EXAMPLE, [largest])
            populations.append(
                Population(
                    kind=kind,
                    persons=persons,
                    requests=requests,
                    pages=pages,
                    at_risk=at_risk or 0.0,
                    agent=agent or "",
                    path=path or "",
                )
            )
    return populations


def select_kinds(engine: LogEngine, selection: LogSelection) -> bool:
    """Leave out the kinds that `selection` names, and build the pages again; return if it did."""
    conditions = [f"NOT ({_of_kind(kind)})" for kind in selection.kinds_out]
    if selection.kinds_kept:
        conditions.append(" OR ".join(f"({_of_kind(kind)})" for kind in selection.kinds_kept))
    if not conditions:
        return False
    # By their hashes, because the numbers are given anew.
    engine.run(
        "CREATE OR REPLACE TABLE persons_of_kinds AS"
        " SELECT kind, person FROM kinds JOIN persons USING (number)"
    )
    count_requests(engine, " AND ".join(f"({condition})" for condition in conditions))
    build_pages(engine)
    return True


def _of_kind(kind: str) -> str:
    if kind == "bots":
        return "agent IN (SELECT agent FROM programs) IS TRUE"
    return f"person IN (SELECT person FROM persons_of_kinds WHERE kind = '{kind}')"


_FACTS: Final = f"""
CREATE OR REPLACE TABLE facts AS
SELECT number, count(*) AS pages, sum(requests) AS requests,
  count(*) FILTER (pause > ?) AS at_risk,
  count(*) FILTER (steady) AS steady, count(steady) AS compared, max(in_minute) AS in_minute
FROM (
  SELECT *, CASE WHEN pause >= {_SHORTEST_PERIOD} THEN
      abs(pause - lag(pause) OVER (
        PARTITION BY number, pause >= {_SHORTEST_PERIOD} ORDER BY page)
      ) <= greatest(0.05 * pause, 1.5) END AS steady,
    count(*) OVER (PARTITION BY number, CAST(floor(began / 60) AS BIGINT)) AS in_minute
  FROM pages
) GROUP BY number"""
_BOTS: Final = """
SELECT 'bots' AS kind, number FROM (
  SELECT DISTINCT person FROM counted WHERE agent IN (SELECT agent FROM programs)
) JOIN persons USING (person)"""
_CRON: Final = f"""
SELECT 'cron' AS kind, number FROM facts
WHERE compared >= {_STEADY_PAUSES} AND steady >= 0.9 * compared"""
_DOMINANT_BY: Final = " UNION ".join(
    f"""
SELECT 'dominant' AS kind, number FROM (
  SELECT number, {column} AS part, sum({column}) OVER () AS total, count(*) OVER () AS persons
  FROM facts
) WHERE part >= {_FEWEST} AND part > {_SHARE} * total AND part * persons > {_TIMES_FAIR} * total"""
    for column in ("requests", "pages", "at_risk")
)
_DOMINANT: Final = f"SELECT * FROM ({_DOMINANT_BY})"
_SHARED: Final = f"""
SELECT 'shared' AS kind, number FROM (
  SELECT number, count(DISTINCT agent) AS agents FROM counted JOIN persons USING (person)
  WHERE agent NOT IN (SELECT agent FROM programs) GROUP BY number
) JOIN facts USING (number) WHERE agents >= {_AGENTS} OR in_minute > {_PAGES_A_MINUTE}"""
_SHARES: Final = """
SELECT kind, count(*), sum(requests) / any_value(t.all_requests),
  sum(pages) / any_value(t.all_pages), sum(at_risk) / nullif(any_value(t.all_at_risk), 0),
  arg_max(number, at_risk + pages)
FROM kinds JOIN facts USING (number), (
  SELECT sum(requests) AS all_requests, sum(pages) AS all_pages, sum(at_risk) AS all_at_risk
  FROM facts
) AS t GROUP BY kind"""
_EXAMPLE: Final = """
SELECT mode(agent), mode(path) FROM counted JOIN persons USING (person) WHERE number = ?"""
