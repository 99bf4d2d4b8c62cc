"""A tab in Locust's web page with the figures of the running storm.

Locust's page draws a table for every entry of ``extended_tables`` and fills it from
``extended_stats`` in the responses of ``/stats/requests``. It shows cells as text, not as markup.
"""

from __future__ import annotations

import ipaddress
import json
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from flask import Response, request
from locust.web import WebUI

from linqi.sessions.storm_factor import steady_rate, storm_factor
from linqi_storm.clients.load_counts import LoadTotals
from linqi_storm.report.headline import headline
from linqi_storm.run.live_figures import live_figures, peak_so_far
from linqi_storm.schema.load import StormLoad
from linqi_storm.schema.results import StormRun
from linqi_storm.schema.validity import CPU_LIMIT, LAG_LIMIT_MS

__all__ = ["TAB_KEY", "Row", "add_tab", "final_rows", "live_rows", "refused_rows", "waiting_rows"]

Row: TypeAlias = dict[str, str]
"""A figure, its value, and its expected value: the keys ``what``, ``seen`` and ``wanted``."""

TAB_KEY: Final = "linqi-storm"
_PATH: Final = "/stats/requests"
_TITLE: Final = "Token storm"
_COLUMNS: Final = {"what": "figure", "seen": "measured", "wanted": "expected"}
_LOOPBACK: Final = "127.0.0.1"
_log = logging.getLogger(__name__)


def add_tab(web_ui: WebUI, rows: Callable[[], Sequence[Row]]) -> bool:
    """Add the tab, filled by `rows` for each request of the page; return whether it was added.

    By default Locust listens on every interface, and every client of its page can start a load and
    read the results. Therefore an unset host becomes loopback, and another host gets no tab.
    """
    if not web_ui.host:
        web_ui.host = _LOOPBACK
        _log.warning("linqi storm: Locust's page is on %s only", _LOOPBACK)
    if not _is_loopback(web_ui.host):
        _log.warning("linqi storm: no tab, because %s is not loopback", web_ui.host)
        return False
    app = web_ui.app
    assert app is not None  # noqa: S101 - made by the constructor
    structure = [{"key": key, "title": title} for key, title in _COLUMNS.items()]
    web_ui.template_args |= {
        "extended_tabs": [{"title": _TITLE, "key": TAB_KEY}],
        "extended_tables": [{"key": TAB_KEY, "structure": structure}],
    }

    def extend(response: Response) -> Response:
        if request.path.endswith(_PATH) and response.status_code == 200 and response.is_json:
            stats: dict[str, Any] = response.get_json()
            stats["extended_stats"] = [{"key": TAB_KEY, "data": list(rows())}]
            response.set_data(json.dumps(stats))
        return response

    app.after_request(extend)
    return True


def waiting_rows() -> list[Row]:
    """Return the rows before the barrier."""
    return [_row("state of the storm", "not started, or signing in")]


def refused_rows(why: str) -> list[Row]:
    """Return the rows of a storm that cannot begin."""
    return [_row("state of the storm", f"refused: {why}")]


def live_rows(totals: LoadTotals, load: StormLoad) -> list[Row]:
    """Return the rows of a running storm."""
    live = live_figures(totals)
    if live is None:
        return waiting_rows()
    floor = steady_rate(load.active, load.period)
    peak = peak_so_far(totals, load)
    factor = storm_factor(peak, load.active, load.period)
    return [
        _row("second of the run", f"{live.second} of {load.duration:.0f}"),
        _row("requests per second", str(live.requests)),
        _row("renewals per second", str(live.renewals), f"about {floor:.3g}"),
        _row("peak renewal rate so far", f"{peak:.3g}/s, storm factor {factor:.2f}", "near 1"),
        _row("latency p50; p99", f"{live.p50_ms:.1f}; {live.p99_ms:.1f} ms"),
        _row("5xx or no response, per second", str(live.unanswered), "0"),
        _row("forced logouts", str(live.forced_out), "0"),
        _row(
            "sessions expired without a request in the buffer",
            str(live.lapsed),
            "0",
        ),
        _row("expired, revoked or forged tokens accepted", str(live.accepted), "0"),
        _row("violations of invariants", str(live.wrong), "0"),
        _row(
            "delay of the load generator, p99",
            f"{live.generator_lag_p99_ms:.1f} ms",
            f"at most {LAG_LIMIT_MS:g} ms",
        ),
        _row("CPU of the load generator", _busy(totals), f"at most {CPU_LIMIT:.0%}"),
    ]


def final_rows(run: StormRun) -> list[Row]:
    """Return the rows of a finished run: its verdict and its invariants."""
    rows = [_row("verdict", headline(run))]
    rows += [_row("reason", fault) for fault in run.generator.faults]
    for peak in run.peaks:
        wanted = f"chance alone: up to {peak.noise95:.2f}"
        rows.append(_row(f"storm factor, {peak.label}", f"{peak.factor:.2f}", wanted))
    rows += [_row(check.name, check.measured, check.expected) for check in run.every_check]
    return rows


def _busy(totals: LoadTotals) -> str:
    return f"{totals.counts(totals.seconds[-1]).cpu:.0%} of a core"


def _row(what: str, seen: str, wanted: str = "") -> Row:
    return {"what": what, "seen": seen, "wanted": wanted}


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
