"""A run as one HTML page: main figures first, then charts and tables by subject."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any, Final

from linqi_bench.comparison import Comparison
from linqi_bench.report import COLUMNS, cells, describe, noise_of, number
from linqi_bench.results import Result
from linqi_report.charts import Axis, Bar, Series, bar_chart, line_chart
from linqi_report.page import Section, page, table

__all__ = ["result_page"]

Figures = Sequence[dict[str, Any]]
_CARDS: Final = (
    ("cache.hit.800B", "value", "a cache hit, 800-byte token"),
    ("verify.cold.RS256", "over", "cold RS256, over the signature check"),
    ("middleware.hit", "over", "added to an ASGI call, cached token"),
    ("served.uvicorn.hit.HS256", "over", "CPU added to a request, uvicorn"),
    ("cache.memory.100000", "value", "100,000 cached tokens"),
)
_HEADINGS: Final = {
    "verify": "Verification",
    "cache": "Cache",
    "keys": "Keys",
    "middleware": "Middleware, without sockets",
    "renewal": "Renewal",
    "sign": "Signing",
    "sessions": "Sessions",
    "stores": "Stores",
    "client": "Client",
    "off_loop": "Signature checks in threads",
    "served": "End to end",
}
_KINDS: Final = {"within": "ok", "over": "warn", "broken": "bad"}
_MICROSECONDS: Final = "µs"


def result_page(result: Result, comparison: Comparison | None = None) -> str:
    """Return the HTML page of `result`, with the changes if it was compared."""
    sections = [] if comparison is None else [_changes(comparison)]
    for group, heading in _HEADINGS.items():
        figures = [figure for figure in result.figures if figure["group"] == group]
        if figures:
            charts = _charts(group, figures)
            sections.append(Section(heading=heading, figures=charts, after=_table(figures)))
    return page("linqi bench", _intro(result), sections)


def _intro(result: Result) -> str:
    kind = "quick run" if result.quick else "full run"
    parts = [
        f'<p class="soft">{escape(describe(result.machine))}</p>'
        f'<p class="soft">{kind} at {escape(str(result.machine["taken_at"]))},'
        f" {result.took_seconds:.0f} s; settings: {escape(str(result.settings.get('source', '')))};"
        f" yardstick {result.yardstick_us:.1f} µs</p>"
    ]
    if noise := noise_of(result):
        parts.append(f'<p class="warning">{escape(noise)}</p>')
    cards = [
        f'<div class="card"><b>{escape(text)}</b><span>{escape(what)}</span></div>'
        for name, member, what in _CARDS
        if (text := _card(result.by_id.get(name), member))
    ]
    if cards:
        parts.append(f'<div class="cards">{"".join(cards)}</div>')
    return "".join(parts)


def _card(figure: dict[str, Any] | None, member: str) -> str:
    if figure is None or figure[member] is None:
        return ""
    sign = "+" if member == "over" else ""
    return sign + number(figure[member]["median"], figure["unit"])


def _charts(group: str, figures: Figures) -> list[tuple[str, str]]:
    charts: dict[str, Callable[[Figures], list[tuple[str, str]]]] = {
        "verify": _verification,
        "cache": _cache,
        "middleware": _middleware,
        "sign": _signing,
        "stores": _stores,
        "off_loop": lambda some: _values(some, "What 99 of 100 requests take at the most"),
        "served": _served,
    }
    return charts[group](figures) if group in charts else []


def _verification(figures: Figures) -> list[tuple[str, str]]:
    cold = [figure for figure in figures if _is(figure, "verify", "cold", 3)]
    sized = [figure for figure in figures if len(figure["id"].split(".")) == 4]
    charts = _over(cold, "Cold verification, over the check of the signature alone")
    for kind, caption in (("hit", "A hit, by token size"), ("cold", "Cold, by token size")):
        some = [figure for figure in sized if figure["id"].startswith(f"verify.{kind}.")]
        charts += _values(some, caption)
    crowd = [
        figure for figure in figures if ".zipf" in figure["id"] or ".distinct." in figure["id"]
    ]
    return charts + _values(crowd, "10,000 tokens: by a Zipf law, and each once")


def _cache(figures: Figures) -> list[tuple[str, str]]:
    charts = _values([f for f in figures if f["unit"] == "us"], "What the cache costs")
    points = [
        (figure["details"]["entries"], figure["value"]["median"])
        for figure in figures
        if figure["id"].startswith("cache.bytes_per_entry.")
    ]
    if len(points) > 1:
        svg = line_chart(
            "Bytes of a cached token, by how many there are",
            [Series(name="bytes", points=sorted(points))],
            Axis(label="tokens in the cache", is_log=True),
            Axis(label="memory of one", unit="bytes"),
            height=200,
        )
        charts.append(("Memory of one cached token, by how many there are", svg))
    return charts


def _middleware(figures: Figures) -> list[tuple[str, str]]:
    return _over(figures, "Added to a call of the bare app")


def _signing(figures: Figures) -> list[tuple[str, str]]:
    return _values(figures, "A signed token")


def _stores(figures: Figures) -> list[tuple[str, str]]:
    return _values(figures, "One operation, of 50 at once where nothing else is said")


def _served(figures: Figures) -> list[tuple[str, str]]:
    beside = [figure for figure in figures if figure["id"].endswith(".against")]
    charts = []
    for kind, what in (("hit", "whose token is cached"), ("cold", "with a new token")):
        some = [f for f in figures if f["id"].startswith(f"served.{kind}.") and f not in beside]
        charts += _over(some, f"CPU time added to a request {what}, in the server's process")
    return charts + _over(beside, "CPU time of a request, over the linqi of the other environment")


def _over(figures: Figures, caption: str) -> list[tuple[str, str]]:
    """Return bars of what figures take over their baselines, with their limits."""
    bars = [
        Bar(
            label=figure["name"],
            value=figure["over"]["median"],
            low=figure["over"]["low"],
            high=figure["over"]["high"],
            limit=_limit(figure, "over"),
            note=f"({number(figure['value']['median'])} in all)",
            is_bad=figure["verdict"] == "broken",
        )
        for figure in figures
        if figure["over"] is not None
    ]
    axis = Axis(label="over the baseline", unit=_MICROSECONDS)
    return [(caption, bar_chart(caption, bars, axis))] if bars else []


def _values(figures: Figures, caption: str) -> list[tuple[str, str]]:
    bars = [
        Bar(
            label=figure["name"],
            value=figure["value"]["median"],
            low=figure["value"]["low"],
            high=figure["value"]["high"],
            limit=_limit(figure, "value"),
            is_bad=figure["verdict"] == "broken",
        )
        for figure in figures
        if figure["unit"] == "us"
    ]
    axis = Axis(label="time", unit=_MICROSECONDS)
    return [(caption, bar_chart(caption, bars, axis))] if bars else []


def _limit(figure: dict[str, Any], kind: str) -> float | None:
    limit = figure["limit"]
    return limit["most"] if limit is not None and limit["kind"] == kind else None


def _is(figure: dict[str, Any], group: str, kind: str, parts: int) -> bool:
    found = figure["id"].split(".")
    return found[:2] == [group, kind] and len(found) == parts


def _table(figures: Figures) -> str:
    rows = []
    for figure in figures:
        row: list[str | tuple[str, str]] = [*cells(figure)]
        kind = _KINDS.get(figure["verdict"])
        if kind is not None:
            at = COLUMNS.index("verdict")
            row[at] = (str(row[at]), kind)
        rows.append(row)
    return table(COLUMNS, rows)


def _changes(comparison: Comparison) -> Section:
    rows: list[list[str | tuple[str, str]]] = [
        [
            change.name,
            number(change.old, change.unit),
            number(change.new, change.unit),
            (f"{change.share:.2f}", "bad" if change.kind == "dearer" else "ok"),
        ]
        for change in comparison.beyond_noise
    ]
    said = (
        table(("figure", "old", "new", "new / old"), rows)
        if rows
        else "<p>Nothing beyond noise.</p>"
    )
    return Section(heading="What changed", body=said)
