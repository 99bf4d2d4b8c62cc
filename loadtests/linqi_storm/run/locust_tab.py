"""A tab in Locust's own page with the figures of the storm that runs.

Locust's page draws a table for every entry of ``extended_tables`` and fills it from
``extended_stats`` in the answers of ``/stats/requests``; cells are text there and never markup.
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
from linqi_storm.run.live_figures import live_figures, peak_so_far
from linqi_storm.schema.load import StormLoad
from linqi_storm.schema.results import StormRun
from linqi_storm.schema.validity import CPU_LIMIT, LAG_LIMIT_MS

__all__ = ["TAB_KEY", "Row", "add_tab", "final_rows", "live_rows", "refused_rows", "waiting_rows"]

Row: TypeAlias = dict[str, str]
"""What is looked at, what was seen, and what it should be."""

TAB_KEY: Final = "linqi-storm"
_PATH: Final = "/stats/requests"
_TITLE: Final = "Token storm"
_LOOPBACK: Final = "127.0.0.1"
_log = logging.getLogger(__name__)


def add_tab(web_ui: WebUI, rows: Callable[[], Sequence[Row]]) -> bool:
    """Add the tab, filled by `rows` whenever the page asks; tell whether it was added.

    Locust listens on every interface unless told otherwise, and whoever reaches its page can start
    a load and read what comes of it: an unset host becomes loopback, and there is no tab on
    another one.
    """
    if not web_ui.host:
        web_ui.host = _LOOPBACK
        _log.warning("linqi storm: Locust's page is on %s only", _LOOPBACK)
    if not _is_loopback(web_ui.host):
        _log.warning("linqi storm: no tab, since %s is not loopback", web_ui.host)
        return False
    app = web_ui.app
    assert app is not None  # noqa: S101 - made by the constructor
    structure = [{"key": key, "title": key} for key in ("what", "seen", "wanted")]
    web_ui.template_args |= {
        "extended_tabs": [{"title": _TITLE, "key": TAB_KEY}],
        "extended_tables": [{"key": TAB_KEY, "structure": structure}],
    }

    def extend(response: Response) -> Response:
        if request.path.endswith(_PATH) and response.status_code == 200 and response.is_json:
            told: dict[str, Any] = response.get_json()
            told["extended_stats"] = [{"key": TAB_KEY, "data": list(rows())}]
            response.set_data(json.dumps(told))
        return response

    app.after_request(extend)
    return True


def waiting_rows() -> list[Row]:
    """Give what is shown before the barrier."""
    return [_row("storm", "signing in, or not begun")]


def refused_rows(why: str) -> list[Row]:
    """Give what is shown where the storm cannot begin."""
    return [_row("storm", f"refused: {why}")]


def live_rows(totals: LoadTotals, load: StormLoad) -> list[Row]:
    """Give what is shown while it goes on."""
    live = live_figures(totals)
    if live is None:
        return waiting_rows()
    floor = steady_rate(load.sessions, load.period)
    peak = peak_so_far(totals, load)
    factor = storm_factor(peak, load.sessions, load.period)
    return [
        _row("second", f"{live.second} of {load.duration:.0f}"),
        _row("requests per second", str(live.requests)),
        _row("renewals per second", str(live.renewals), f"about {floor:.3g}"),
        _row("peak of renewals so far", f"{peak:.3g}/s, factor {factor:.2f}", "near 1"),
        _row("p50; p99 of the second", f"{live.p50_ms:.1f}; {live.p99_ms:.1f} ms"),
        _row("5xx or no answer, in the second", str(live.unanswered), "0"),
        _row("sessions lost by force", str(live.forced_out), "0"),
        _row("sessions lapsed in silence", str(live.lapsed), "0, or a longer buffer"),
        _row("tokens accepted that must be refused", str(live.accepted), "0"),
        _row("examples of broken invariants", str(live.wrong), "0"),
        _row(
            "generator: late, p99", f"{live.generator_lag_p99_ms:.1f} ms",
            f"at most {LAG_LIMIT_MS:g} ms",
        ),
        _row("generator: busy", _busy(totals), f"at most {CPU_LIMIT:.0%}"),
    ]  # fmt: skip


def final_rows(run: StormRun) -> list[Row]:
    """Give what is shown when the run is over: its verdict and its invariants."""
    rows = [_row("verdict", run.verdict), *(_row("void", fault) for fault in run.generator.faults)]
    for peak in run.peaks:
        wanted = f"chance alone {peak.noise95:.2f}"
        rows.append(_row(f"storm factor, {peak.label}", f"{peak.factor:.2f}", wanted))
    for check in run.checks:
        limit = "" if check.limit is None else f"at most {check.limit:g}"
        rows.append(_row(check.name, f"{check.seen:g}", limit))
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
