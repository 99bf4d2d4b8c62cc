"""What a log says was requested: endpoints, and pages of parallel requests."""

from __future__ import annotations

from typing import Final

from linqi_tune.evidence.log_engine import LogEngine
from linqi_tune.model.logged_traffic import Endpoint, LoggedPage, LoggedTraffic

__all__ = ["traffic_of"]

_ENDPOINTS: Final = 200
_COMPOSITIONS: Final = 500
_SAMPLED_PAGES: Final = 200_000
_LONGEST_PAGE: Final = 50
_ID: Final = (
    # A number, a UUID, hexadecimal of 8 and more, or 16 and more characters with a digit.
    r"^([0-9]+|[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|[0-9a-fA-F]*[0-9][0-9a-fA-F]*)$"
)


def traffic_of(engine: LogEngine, seconds: float, lifetime: float, source: str) -> LoggedTraffic:
    """Return the traffic of the view `counted`, quiet requests left out.

    `seconds` is the length of the log; persons that come within `lifetime` seconds of its beginning
    are no arrivals.
    """
    engine.run(_PATHS)
    engine.run(_LISTED)
    (requests,) = engine.row("SELECT coalesce(sum(requests), 0) FROM endpoint_paths")
    listed = engine.rows(
        "SELECT coalesce(method, ''), path, example, requests FROM endpoints ORDER BY place"
    )
    pages = engine.row("SELECT count(*) FROM pages")[0]
    share = round(min(1.0, _SAMPLED_PAGES / max(1, pages)) * 2**32)
    compositions = engine.rows(_PAGES, [share])
    (sampled,) = engine.row(
        "SELECT count(*) FROM pages WHERE hash(number) % 4294967296 < ?", [share]
    )
    (arrived,) = engine.row(
        "SELECT count(*) FROM persons WHERE first > (SELECT min(first) FROM persons) + ?",
        [lifetime],
    )
    return LoggedTraffic(
        endpoints=[
            Endpoint(method=method, path=path, example=example, requests=count)
            for method, path, example, count in listed
        ],
        other_requests=int(requests) - sum(row[3] for row in listed),
        pages=[LoggedPage(requests=tuple(places), count=count) for places, count in compositions],
        other_pages=sampled - sum(count for _, count in compositions),
        parallel=engine.rows("SELECT requests, count(*) FROM pages GROUP BY requests ORDER BY 1"),
        arrivals_per_second=arrived / (seconds - lifetime) if seconds > lifetime else 0.0,
        requests_per_second=int(requests) / seconds if seconds else 0.0,
        seconds=seconds,
        source=source,
    )


_SEGMENT: Final = (
    f"CASE WHEN regexp_matches(s, '{_ID}') OR (length(s) >= 16 AND regexp_matches(s, '[0-9]'))"
    " THEN '{id}' ELSE s END"
)
_PATHS: Final = f"""
CREATE OR REPLACE TABLE endpoint_paths AS
SELECT method, path, requests,
  array_to_string(list_transform(string_split(path, '/'), lambda s: {_SEGMENT}), '/') AS template
FROM (
  SELECT method, path, count(*) AS requests FROM counted
  WHERE NOT is_quiet AND starts_with(path, '/') GROUP BY method, path
)"""
_LISTED: Final = f"""
CREATE OR REPLACE TABLE endpoints AS
SELECT method, template AS path, arg_max(path, (requests, path)) AS example,
  CAST(sum(requests) AS BIGINT) AS requests,
  row_number() OVER (ORDER BY sum(requests) DESC, template, method) - 1 AS place
FROM endpoint_paths GROUP BY method, template
QUALIFY place < {_ENDPOINTS}"""
_PAGES: Final = f"""
SELECT places, count(*) AS pages FROM (
  SELECT list(coalesce(place, -1) ORDER BY instant, line)[:{_LONGEST_PAGE}] AS places
  FROM (
    SELECT number, page, instant, line, counted.method, counted.path
    FROM pages JOIN persons USING (number) JOIN counted
      ON counted.person = persons.person AND instant BETWEEN began AND ended AND NOT is_quiet
    WHERE hash(number) % 4294967296 < ?
  ) AS sampled
  LEFT JOIN endpoint_paths ON sampled.path = endpoint_paths.path
    AND sampled.method IS NOT DISTINCT FROM endpoint_paths.method
  LEFT JOIN endpoints ON endpoints.path = endpoint_paths.template
    AND endpoints.method IS NOT DISTINCT FROM endpoint_paths.method
  GROUP BY number, page
) GROUP BY places ORDER BY pages DESC, places LIMIT {_COMPOSITIONS}"""
