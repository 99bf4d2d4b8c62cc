"""Makes board.json and alerts.yml beside it: ``python docs/examples/monitoring/make.py``.

Needs grafana-foundation-sdk and PyYAML. To change a threshold or the length of the windows, change
it here and run it again; those who only use linqi need the two files alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from grafana_foundation_sdk.builders import dashboard, prometheus, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef

HERE: Final = Path(__file__).parent
DOCS: Final = "https://github.com/linqi/linqi/blob/main/docs"
PAGE: Final = f"{DOCS}/guides/monitoring.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert; the durations in it are those of production."""

    name: str
    expr: str
    lasts: str
    """How long `expr` must hold."""
    severity: str
    means: str
    """What has happened."""
    do: str
    """What to do first."""
    runbook: str = ""
    """The page of docs/operate for it; without one, the alert's section of the monitoring page."""

    @property
    def runbook_url(self) -> str:
        """Return the address that the alert shows."""
        if self.runbook:
            return f"{DOCS}/operate/{self.runbook}.md"
        return f"{PAGE}#{self.name.lower()}"


ALERTS: Final = (
    Alert(
        name="LinqiKeySetStale",
        expr="max by (issuer) (linqi_key_set_stale) > 0",
        lasts="1m",
        severity="warning",
        means="the key set of an issuer is older than its lifetime, because no fetch succeeds",
        do="look at the log lines 'key set not fetched': issuer down, certificate, proxy",
    ),
    Alert(
        name="LinqiKeySetExpired",
        expr="sum by (issuer) (increase(linqi_keys_expired_total[10m])) > 0",
        lasts="0s",
        severity="critical",
        means="a key set is too old to be trusted: all tokens of its issuer get 503",
        do="restore the way to the issuer; the first fetch that succeeds ends it",
    ),
    Alert(
        name="LinqiRevocationFeedLost",
        expr="min(linqi_revocation_feed_up) < 1",
        lasts="30s",
        severity="critical",
        means="a worker receives no revocations: signed-out tokens may be accepted for a moment,"
        " then all get 503",
        do="look at the store and the way to it",
        runbook="lost_feed",
    ),
    Alert(
        name="LinqiStoreUnavailable",
        expr='sum(increase(linqi_session_route_failures_total{status="503"}[5m])) > 0',
        lasts="1m",
        severity="critical",
        means="users can neither sign in nor refresh: the store does not answer",
        do="look at the store; no token is spent meanwhile, so clients recover by themselves",
        runbook="full_store",
    ),
    Alert(
        name="LinqiStoreSlow",
        expr="histogram_quantile(0.99, sum by (le) (rate(linqi_store_rotation_seconds_bucket[5m])))"
        " > 0.5",
        lasts="5m",
        severity="warning",
        means="one refresh in a hundred waits for the store for over half a second",
        do="look at its load and its disk; a storm of refreshes shows in 'Refreshes'",
        runbook="storm",
    ),
    Alert(
        name="LinqiRefreshTokenReused",
        expr="sum(increase(linqi_refresh_reuse_total[10m])) > 0",
        lasts="0s",
        severity="critical",
        means="a spent refresh token was presented: a copy is in other hands, or a client lost its"
        " state",
        do="find the session in the log lines 'SECURITY refresh token reused'; it has ended",
        runbook="reuse_alarms",
    ),
    Alert(
        name="LinqiSessionsLost",
        expr="sum(increase(linqi_sessions_lost_total[10m])) > 5 and"
        " sum(increase(linqi_sessions_lost_total[10m]))"
        " > 0.01 * sum(increase(linqi_renewal_signatures_total[10m]))",
        lasts="0s",
        severity="warning",
        means="users who were active were signed out: over one for each hundred renewals",
        do="raise the buffer: linqi tune --metrics says how much a longer one would keep",
        runbook="storm",
    ),
    Alert(
        name="LinqiRenewalsLate",
        expr="histogram_quantile(0.99, sum by (le) (rate(linqi_renewal_lag_seconds_bucket[10m])))"
        " > 0.5 * max(linqi_renewal_buffer_seconds)",
        lasts="10m",
        severity="warning",
        means="one token in a hundred is renewed in the second half of its buffer or later",
        do="as for LinqiSessionsLost, before sessions are lost",
        runbook="storm",
    ),
    Alert(
        name="LinqiRenewalsDeferred",
        expr='sum(rate(linqi_renewals_deferred_total{reason="budget"}[5m])) > 0',
        lasts="5m",
        severity="warning",
        means="the budget of renewals is spent: tokens come closer to their end",
        do="look at 'Renewals' for a storm; raise the budget if signing has room",
        runbook="storm",
    ),
    Alert(
        name="LinqiCacheHitRatioFallen",
        expr='sum(rate(linqi_cache_lookups_total{outcome="hit"}[10m]))'
        " / sum(rate(linqi_cache_lookups_total[10m]))"
        ' < 0.5 * (sum(rate(linqi_cache_lookups_total{outcome="hit"}[1d] offset 1h))'
        " / sum(rate(linqi_cache_lookups_total[1d] offset 1h)))"
        " and sum(rate(linqi_cache_lookups_total[10m])) > 1",
        lasts="10m",
        severity="warning",
        means="half of the usual share of requests finds its verified token, so verification costs"
        " more",
        do="look at 'Cache': too small for its users (evictions), or a flood of new tokens",
    ),
    Alert(
        name="LinqiSignInsThrottled",
        expr="sum(rate(linqi_logins_throttled_total[5m])) > 0.2",
        lasts="5m",
        severity="warning",
        means="over 12 sign-ins a minute are refused by the limits: passwords are being guessed,"
        " or a client repeats a wrong one",
        do="look at the log lines 'sign-in refused, too many failures'",
    ),
)


def rules(*, faster: int = 1) -> str:
    """Return the rules of Prometheus.

    Args:
        faster: Divides all durations, for a test.

    """

    def scaled(text: str) -> str:
        units = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

        def shorter(found: re.Match[str]) -> str:
            seconds = int(found[1]) * units[found[2]]
            return found[0] if faster == 1 else f"{max(1, round(seconds / faster))}s"

        return re.sub(r"(?<![\w.])(\d+)([smhd])\b", shorter, text)

    made = [
        {
            "alert": alert.name,
            "expr": scaled(alert.expr),
            "for": scaled(alert.lasts),
            "labels": {"severity": alert.severity},
            "annotations": {
                "summary": alert.means,
                "description": alert.do,
                "runbook_url": alert.runbook_url,
            },
        }
        for alert in ALERTS
    ]
    groups = {"groups": [{"name": "linqi", "rules": made}]}
    return yaml.safe_dump(groups, sort_keys=False, width=96, allow_unicode=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel: a query for each legend."""

    title: str
    queries: dict[str, str]
    """By the legend, in which ``{{label}}`` stands for a label's value."""
    unit: str = "reqps"
    text: str = ""


_RATE: Final = "[$__rate_interval]"
ROWS: Final[dict[str, tuple[Panel, ...]]] = {
    "Requests": (
        Panel(
            title="Refused requests",
            queries={
                "{{status}} {{code}}": f"sum by (status, code) (rate(linqi_refusals_total{_RATE}))"
            },
            text="401 token_expired of clients that refresh is normal; 503 is not.",
        ),
        Panel(
            title="Cache: share of hits",
            queries={
                "hits": f'sum(rate(linqi_cache_lookups_total{{outcome="hit"}}{_RATE}))'
                f" / sum(rate(linqi_cache_lookups_total{_RATE}))"
            },
            unit="percentunit",
        ),
        Panel(
            title="Cache: verified tokens",
            queries={
                "entries": "sum(linqi_cache_entries)",
                "evictions a second": f"sum(rate(linqi_cache_evictions_total{_RATE}))",
            },
            unit="short",
        ),
    ),
    "Sliding renewal": (
        Panel(
            title="Renewals",
            queries={
                "responses with a successor": f"sum(rate(linqi_renewals_total{_RATE}))",
                "signatures": f"sum(rate(linqi_renewal_signatures_total{_RATE}))",
                "deferred: {{reason}}": "sum by (reason)"
                f" (rate(linqi_renewals_deferred_total{_RATE}))",
                "failed": f"sum(rate(linqi_renewals_failed_total{_RATE}))",
            },
            text="A storm is a peak of signatures far above their mean.",
        ),
        Panel(
            title="Renewal lag against the buffer",
            queries={
                "p50": "histogram_quantile(0.5,"
                f" sum by (le) (rate(linqi_renewal_lag_seconds_bucket{_RATE})))",
                "p99": "histogram_quantile(0.99,"
                f" sum by (le) (rate(linqi_renewal_lag_seconds_bucket{_RATE})))",
                "half the buffer": "0.5 * max(linqi_renewal_buffer_seconds)",
            },
            unit="s",
            text="From when a token was due to the request that renewed it.",
        ),
        Panel(
            title="Sessions lost",
            queries={
                "lost a minute": f"60 * sum(rate(linqi_sessions_lost_total{_RATE}))",
                "expired tokens a minute": f"60 * sum(rate(linqi_expired_presented_total{_RATE}))",
            },
            unit="short",
        ),
    ),
    "Dual tokens": (
        Panel(
            title="Refreshes",
            queries={
                "{{outcome}}": f"sum by (outcome) (rate(linqi_refreshes_total{_RATE}))",
                "denied: {{reason}}": "sum by (reason)"
                f" (rate(linqi_refreshes_denied_total{_RATE}))",
            },
        ),
        Panel(
            title="Time in the store of a refresh",
            queries={
                "p50": "histogram_quantile(0.5,"
                f" sum by (le) (rate(linqi_store_rotation_seconds_bucket{_RATE})))",
                "p99": "histogram_quantile(0.99,"
                f" sum by (le) (rate(linqi_store_rotation_seconds_bucket{_RATE})))",
            },
            unit="s",
        ),
        Panel(
            title="Sessions",
            queries={
                "sign-ins": f"sum(rate(linqi_sessions_started_total{_RATE}))",
                "ended: {{cause}}": f"sum by (cause) (rate(linqi_sessions_revoked_total{_RATE}))",
                "reuse": f"sum(rate(linqi_refresh_reuse_total{_RATE}))",
                "sign-ins throttled: {{limit}}": "sum by (limit)"
                f" (rate(linqi_logins_throttled_total{_RATE}))",
            },
        ),
    ),
    "What they depend on": (
        Panel(
            title="Key sets",
            queries={
                "{{issuer}} {{outcome}}": "sum by (issuer, outcome)"
                f" (rate(linqi_key_fetches_total{_RATE}))",
                "{{issuer}} stale": "max by (issuer) (linqi_key_set_stale)",
            },
            unit="short",
        ),
        Panel(
            title="Revocation feed",
            queries={
                "workers without it": "count(linqi_revocation_feed_up == 0) or vector(0)",
                "failed checks": f"sum(rate(linqi_revocation_failures_total{_RATE}))",
            },
            unit="short",
        ),
        Panel(
            title="Failures",
            queries={
                "routes {{status}} {{code}}": "sum by (status, code)"
                f" (rate(linqi_session_route_failures_total{_RATE}))",
                "background tasks": f"sum(rate(linqi_background_failures_total{_RATE}))",
                "clock ahead of the store's, s": "max(linqi_store_clock_difference_seconds)",
            },
            unit="short",
        ),
    ),
}


def board() -> str:
    """Return the board of Grafana as JSON."""
    source = DataSourceRef(type_val="prometheus", uid="${datasource}")
    made = (
        dashboard.Dashboard("linqi")
        .uid("linqi")
        .description(f"Verification, renewal and sessions of linqi: {PAGE}")
        .tags(["linqi", "authentication"])
        .refresh("30s")
        .time("now-3h", "now")
        .with_variable(dashboard.DatasourceVariable("datasource").type("prometheus"))
    )
    for row, panels in ROWS.items():
        made = made.with_row(dashboard.Row(row))
        for panel in panels:
            made = made.with_panel(_panel(panel, source))
    text: str = JSONEncoder(sort_keys=True, indent=2).encode(made.build())
    return text + "\n"


def _panel(panel: Panel, source: DataSourceRef) -> Any:
    made = (
        timeseries.Panel()
        .title(panel.title)
        .description(panel.text)
        .unit(panel.unit)
        .min(0)
        .datasource(source)
        .height(8)
        .span(8)
    )
    for position, (legend, query) in enumerate(panel.queries.items()):
        target = prometheus.Dataquery().expr(query).legend_format(legend).ref_id(chr(65 + position))
        made = made.with_target(target)
    return made


def alerts_table() -> str:
    """Return the alerts as the page shows them."""
    sections = []
    for alert in ALERTS:
        name = alert.runbook
        runbook = f" Runbook: [{name}](../operate/{name}.md)." if name else ""
        sections += [
            f"### {alert.name}",
            "",
            f"{alert.severity}: {alert.means}. First {alert.do}.",
            "",
            "```promql",
            alert.expr,
            "```",
            "",
            f"For {alert.lasts}." + runbook,
            "",
        ]
    return "\n".join(sections)


if __name__ == "__main__":
    (HERE / "board.json").write_text(board())
    (HERE / "alerts.yml").write_text(rules())
