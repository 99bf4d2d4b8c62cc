"""The evidence of the tuner: logs, metrics and results."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from linqi.errors import ConfigurationError
from linqi.instrumentation.prometheus import PrometheusHook
from linqi_tune.evidence.bench_result import read_bench
from linqi_tune.evidence.metrics import read_metrics
from linqi_tune.evidence.prometheus_server import PrometheusSource, read_prometheus
from linqi_tune.evidence.quiet_paths import QuietPaths
from linqi_tune.evidence.storm_result import read_storm
from test_prometheus_hook import refused, renewed

STORMS = Path(__file__).parent / "storms"


@given(st.text(max_size=60))
def test_any_target_is_quiet_or_not(target: str) -> None:
    """Nothing that a log may hold raises."""
    assert QuietPaths(["/polls", "/events/*"]).include(target) in (True, False)


def test_metrics_of_several_workers_are_added_up(tmp_path: Path) -> None:
    """The tuner reads what the hook exports, and adds up several workers."""
    registry = CollectorRegistry()
    hook = PrometheusHook(registry)
    for lag in (1, 50, 250):
        hook(renewed(lag))
    hook(refused("aaaaaaaa", expired_for=500, lag=800))
    text = generate_latest(registry).decode()
    both = text + "".join(
        line.replace("{", '{instance="b",') + "\n"
        for line in text.splitlines()
        if line.startswith("linqi_renewal_lag_seconds_bucket")
    )
    path = tmp_path / "metrics.txt"
    path.write_text(text)
    one = read_metrics(path)
    assert (one.lags.total, one.lags.above(60), one.lags.above(300), one.late) == (4, 2, 1, 1)
    assert not one.is_censored
    path.write_text(both)
    assert read_metrics(path).lags.total == 8
    path.write_text(
        "\n".join(line for line in text.splitlines() if "expired_presented" not in line) + "\n"
    )
    assert read_metrics(path).is_censored


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x 1\n",
        "}{ what\n",
        'linqi_renewal_lag_seconds_bucket{le="x"} 1\n',
        'linqi_renewal_lag_seconds_bucket{a="1",le="1"} 1\n'
        'linqi_renewal_lag_seconds_bucket{a="1",le="+Inf"} 1\n'
        'linqi_renewal_lag_seconds_bucket{a="2",le="2"} 1\n'
        'linqi_renewal_lag_seconds_bucket{a="2",le="+Inf"} 1\n',
    ],
)
def test_metrics_without_lags_are_refused(tmp_path: Path, text: str) -> None:
    """Metrics without lags, malformed ones, and ones with different buckets are refused."""
    path = tmp_path / "m.txt"
    path.write_text(text)
    with pytest.raises(ConfigurationError):
        read_metrics(path)


def test_a_storm_is_read_in_real_seconds() -> None:
    """Times and sessions are multiplied by the compression; latencies are not."""
    measurements = read_storm(STORMS / "plain.json")
    assert (measurements.lifetime, measurements.buffer) == (900, 300)
    assert measurements.served.compression == 60
    assert measurements.visitors.sessions == 200 * 60
    assert measurements.visitors.gaps.mean == pytest.approx(60, rel=0.1)
    assert measurements.served.policy == "plain"
    assert measurements.served.hit_ratio is not None
    assert 0 < measurements.served.request_seconds < 0.01
    assert measurements.lags.total > 100


def test_a_file_of_another_kind_is_no_storm_and_no_benchmark(tmp_path: Path) -> None:
    """The error names the file."""
    path = tmp_path / "x.json"
    path.write_text("{}")
    with pytest.raises(ConfigurationError):
        read_storm(path)
    with pytest.raises(ConfigurationError):
        read_bench(path)
    path.write_text("not json")
    with pytest.raises(ConfigurationError):
        read_bench(path)


def test_costs_come_from_a_benchmark_and_the_rest_from_the_reference(tmp_path: Path) -> None:
    """The source names the figures that the run lacks."""

    def figure(name: str, value: float, unit: str = "us") -> dict[str, object]:
        ends = {"low": value, "median": value, "high": value}
        return {"id": name, "unit": unit, "value": ends}

    figures = [
        figure("verify.cold.ES256.4KB", 99.0),
        figure("verify.cold.ES256.1KB", 77.0),
        figure("sign.ES256", 33.0),
        figure("verify.cold.Ed25519", 88.0),
        figure("sign.Ed25519", 44.0),
        figure("verify.cold.RS256", 21.0),
        figure("cache.bytes_per_entry.1000", 1234.0, "bytes"),
    ]
    path = tmp_path / "bench.json"
    told = {"kind": "linqi-bench", "format": 2, "figures": figures, "machine": {}}
    path.write_text(json.dumps(told))
    costs = read_bench(path)
    assert costs.verify["ES256"] == 77.0
    assert costs.sign["ES256"] == 33.0
    assert costs.entry_bytes == 1234.0
    assert "reference figures for hit" in costs.source
    assert (costs.verify["EdDSA"], costs.sign["EdDSA"]) == (88.0, 44.0)
    assert costs.sign_between["ES256"] == (33.0, 33.0)
    assert {"ES256", "EdDSA"}.isdisjoint(costs.assumed)
    assert {"RS256", "PS256"} <= set(costs.assumed)  # RS256 has no signature in this run
    path.write_text(json.dumps({"kind": "linqi-bench", "format": 2, "figures": [], "machine": {}}))
    with pytest.raises(ConfigurationError):
        read_bench(path)


def answered_by(document: object, port: list[int]) -> Iterator[None]:
    """Serve `document` as the answer to every query; put the port into `port`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.dumps(document).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        port.append(server.server_port)
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"status": "error", "error": "too many samples"},
        {"status": "success", "data": {"result": []}},
        {"status": "success", "data": {"result": [{"metric": {}, "value": [0, "1"]}]}},
        {"status": "success", "data": {"result": [{"metric": {"le": "1"}, "value": ["x"]}]}},
    ],
)
def test_a_server_without_lags_is_an_error_that_says_so(document: object) -> None:
    """Whatever it answers; never a traceback."""
    port: list[int] = []
    with contextmanager(answered_by)(document, port), pytest.raises(ConfigurationError) as raised:
        read_prometheus(PrometheusSource(url=f"http://127.0.0.1:{port[0]}"))
    assert "127.0.0.1" in str(raised.value)


def test_a_server_that_is_down_is_an_error_that_names_it() -> None:
    """A wrong port in a job must not read as advice."""
    with pytest.raises(ConfigurationError, match="does not answer as a Prometheus server"):
        read_prometheus(PrometheusSource(url="http://127.0.0.1:9"))


@pytest.mark.parametrize(
    "values",
    [{"url": "localhost:9090"}, {"url": "http://h", "days": 0}, {"url": "http://h", "match": "{}"}],
)
def test_a_source_that_cannot_be_asked_is_refused(values: dict[str, Any]) -> None:
    """At construction, with what was expected."""
    with pytest.raises(ConfigurationError):
        PrometheusSource(**values)
