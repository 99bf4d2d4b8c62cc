"""The evidence of the tuner: logs, metrics and results."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from linqi.errors import ConfigurationError
from linqi.instrumentation.prometheus import PrometheusHook
from linqi_tune.evidence.access_log import UnreadableLog, read_logs
from linqi_tune.evidence.bench_result import read_bench
from linqi_tune.evidence.log_lines import Visit, parser_of
from linqi_tune.evidence.metrics import read_metrics
from linqi_tune.evidence.quiet_paths import QuietPaths
from linqi_tune.evidence.storm_result import read_storm
from linqi_tune.evidence.visits import VisitCounter
from linqi_tune.model.losses import losses
from simulated import clicks_and_reads
from test_prometheus_hook import refused, renewed

STORMS = Path(__file__).parent / "storms"
QUIET_TARGETS = "/polls /polls?since=7&x=/me /events/a%20b https://shop.example/polls?x"
OTHER_TARGETS = "/me /polls/ /events/..%2fme /events/%2e%2e/me * http://[ /pollsx /me?/polls"
LINE = (
    b'203.0.113.9 - alice [25/Nov/2026:19:12:31 +0100] "GET /a?b=\\"c\\" HTTP/1.1" 200 12'
    b' "https://x/" "Mozilla/5.0 (X; \\"y\\")" "s-123" trace=abc'
)


def test_a_combined_line_tells_its_time_its_status_and_its_session() -> None:
    """By user, by host, by the place after the user agent, and by a name there."""
    for field in ("user", "host", "1", "trace"):
        visit = parser_of("combined", field)(LINE)
        assert visit is not None
        assert visit.status == 200
        assert visit.at == 1795630351.0
    assert parser_of("combined", "none")(LINE) is None
    assert parser_of("combined", "user")(LINE.replace(b"alice", b"-")) is None


def test_a_session_is_hashed_at_once_with_a_key_that_dies() -> None:
    """The same name gives the same number within a run, and another one in the next."""
    first, second = parser_of("combined", "user"), parser_of("combined", "user")
    one, again, other = first(LINE), first(LINE), second(LINE)
    assert one is not None
    assert again is not None
    assert other is not None
    assert one.session == again.session != other.session
    assert "alice" not in repr(one)


def test_a_json_line_is_read_by_members_and_dotted_paths() -> None:
    """Seconds, milliseconds and ISO 8601 are times; whatever else is malformed."""
    parse = parser_of("json", "session.id")
    line = {"ts": 1795630351.5, "session": {"id": 7}, "response": {"status": 401}}
    visit = parse(json.dumps(line).encode())
    assert visit is not None
    assert (visit.at, visit.status) == (1795630351.5, 401)
    for told in (1795630351500, "2026-11-25T18:12:31.500Z", "2026-11-25T19:12:31.5+01:00"):
        found = parse(json.dumps({"time": told, "session": {"id": "x"}}).encode())
        assert found is not None
        assert found.at == 1795630351.5
    assert parse(b'{"ts": 1, "session": {}}') is None
    for bad in (b"[]", b"{", b'{"session": {"id": 1}}', b'{"ts": true}', b'{"ts": "yesterday"}'):
        with pytest.raises(ValueError):  # noqa: PT011 - json's own among them
            parse(bad)


@pytest.mark.parametrize(
    ("target", "is_quiet"),
    [
        *((target, True) for target in QUIET_TARGETS.split()),
        *((target, False) for target in ["", *OTHER_TARGETS.split()]),
    ],
)
def test_a_quiet_request_is_known_by_its_target(target: str, is_quiet: bool) -> None:
    """As the middleware would read it, in both formats and all common members."""
    quiet = ["/polls", "/events/*"]
    line = LINE.replace(b'/a?b=\\"c\\"', target.encode())
    visits = [parser_of("combined", "user", quiet=quiet)(line)]
    for name in ("path", "uri", "request_uri", "url", "request"):
        told = {"ts": 1, "user": "alice", name: target}
        visits.append(parser_of("json", "user", quiet=quiet)(json.dumps(told).encode()))
    told = {"ts": 1, "user": "alice", "request": {"uri": target}}
    visits.append(parser_of("json", "user", quiet=quiet)(json.dumps(told).encode()))
    told = {"ts": 1, "user": "alice", "request": f"GET {target} HTTP/1.1"}
    visits.append(parser_of("json", "user", quiet=quiet)(json.dumps(told).encode()))
    assert [visit.is_quiet for visit in visits if visit] == [is_quiet] * 8


@given(st.text(max_size=60))
def test_any_target_is_quiet_or_not(target: str) -> None:
    """Nothing that a log may hold raises."""
    assert QuietPaths(["/polls", "/events/*"]).include(target) in (True, False)


def test_polls_make_no_pause_shorter_and_no_session_active() -> None:
    """A session that polls every 5 s between two visits 900 s apart has one pause, of 900 s."""
    loud, polled = VisitCounter(), VisitCounter()
    for counter in (loud, polled):
        for at in range(0, 9000, 5):
            if at % 900 == 0:
                counter.add(Visit(at, 1, 200))
            elif counter is polled:
                counter.add(Visit(at, 1, 401, is_quiet=True))
                counter.add(Visit(at, 2, 200, is_quiet=True))
    told, without = polled.summary(), loud.summary()
    assert (told.quiet, told.visits, told.sessions, told.refused) == (3580, 10, 1, 0)
    assert losses(polled.visitors("x").groups, 600, 300) == losses(
        loud.visitors("x").groups, 600, 300
    )
    assert (without.quiet, without.visits) == (0, 10)
    assert polled.visitors("x").peak_rps == 2


@given(st.binary(max_size=200))
def test_any_line_is_a_visit_none_or_malformed(line: bytes) -> None:
    """Nothing that a log may hold raises anything else."""
    for form in ("combined", "json"):
        parse = parser_of(form, "user", "time")
        try:
            visit = parse(line)
        except ValueError:
            continue
        assert visit is None or isinstance(visit, Visit)


def test_a_log_needs_a_format_and_a_session() -> None:
    """Else it is a wrong call."""
    with pytest.raises(ConfigurationError):
        parser_of("clf", "user")
    with pytest.raises(ConfigurationError):
        parser_of("json", "")


def write_log(path: Path, sessions: int = 60, hours: float = 4, seed: int = 1) -> list[float]:
    """Write a log of users who click and read; return their gaps."""
    rng = random.Random(seed)
    visits, gaps = [], []
    for session in range(sessions):
        at = rng.random() * 300
        while at < hours * 3600:
            visits.append((at, session))
            gap = clicks_and_reads(rng)
            gaps.append(gap)
            at += gap
    lines = [
        json.dumps({"time": 1795000000 + at, "sid": f"SID{session}", "status": 200})
        for at, session in sorted(visits)
    ]
    lines[10:10] = ["not json at all"] * 3
    text = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return gaps


def test_a_log_gives_the_loss_of_the_gaps_it_was_written_with(tmp_path: Path) -> None:
    """Within 15 %, and within its own interval; malformed lines are counted."""
    path = tmp_path / "access.log.gz"
    write_log(path)
    told: list[tuple[int, int]] = []
    found = read_logs(
        [path], parser_of("json", "sid"), progress=lambda done, total: told.append((done, total))
    )
    assert found.malformed == 3
    assert found.summary.sessions == 60
    assert told[-1][0] == told[-1][1] == path.stat().st_size
    loss = losses(found.visitors.groups, 900, 300)
    assert loss.total == pytest.approx(0.24, rel=0.15)
    assert loss.savable.contains(0.16)


def test_several_logs_are_one_stream(tmp_path: Path) -> None:
    """A gap that spans two files is a gap."""
    whole = tmp_path / "whole.log"
    write_log(whole)
    lines = whole.read_bytes().splitlines(keepends=True)
    parts = [tmp_path / "a.log", tmp_path / "b.log.gz"]
    parts[0].write_bytes(b"".join(lines[:2000]))
    parts[1].write_bytes(gzip.compress(b"".join(lines[2000:])))
    one = read_logs([whole], parser_of("json", "sid"))
    two = read_logs(parts, parser_of("json", "sid"))
    assert one.summary == two.summary
    assert one.visitors.gaps.mean == pytest.approx(two.visitors.gaps.mean)


def test_pages_sessions_and_peaks_are_counted() -> None:
    """Requests within a second are one page; who came within a lifetime is active."""
    counter = VisitCounter(lifetime=100)
    for at, session in ((0, 1), (0.2, 1), (0.5, 1), (10, 1), (10.1, 2), (200, 2), (200.1, 2)):
        counter.add(Visit(1_000_000 + at, session, 401 if at == 10 else 200))
    visitors, told = counter.visitors("x"), counter.summary()
    assert sorted(visitors.parallel) == [(1.0, 2.0), (2.0, 1.0), (3.0, 1.0)]
    assert sorted(round(gap, 1) for gap, _ in visitors.gaps.items()) == [9.5, 189.9]
    assert visitors.peak_rps == 3
    assert (told.visits, told.sessions, told.refused, told.left) == (7, 2, 1, 1)
    assert visitors.sessions == 1
    assert counter.visitors("x").parallel == visitors.parallel


def test_a_session_that_is_silent_for_a_day_is_forgotten() -> None:
    """Memory grows with who is there, not with the log."""
    counter = VisitCounter()
    for day in range(50):
        for session in range(20):
            counter.add(Visit(1_000_000 + day * 86_500 + session, day * 20 + session, 200))
    assert len(counter._there) <= 40
    assert counter.summary().left >= 960


def test_visits_out_of_order_make_no_negative_gap() -> None:
    """They count as simultaneous, and the summary counts them."""
    counter = VisitCounter()
    for at in (10.0, 5.0, 30.0):
        counter.add(Visit(1_000_000 + at, 1, 200))
    assert [gap for gap, _ in counter.visitors("x").gaps.items()] == [pytest.approx(20)]
    assert counter.summary().out_of_order == 1


@pytest.mark.parametrize("content", [b"", b"one\ntwo\nthree\n", b'{"time": 1}\n', b"x" * 200_000])
def test_a_log_that_says_nothing_is_refused(tmp_path: Path, content: bytes) -> None:
    """Empty, of another format, without sessions, or one endless line."""
    path = tmp_path / "a.log"
    path.write_bytes(content)
    with pytest.raises(UnreadableLog):
        read_logs([path], parser_of("json", "sid"))


def test_a_torn_gzip_file_is_refused_with_its_name(tmp_path: Path) -> None:
    """As a rotation leaves it that was interrupted."""
    path = tmp_path / "torn.log.gz"
    write_log(path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(UnreadableLog, match="torn"):
        read_logs([path], parser_of("json", "sid"))


def test_metrics_of_several_workers_are_added_up(tmp_path: Path) -> None:
    """The tuner reads what the hook exports, and adds up several workers."""
    registry = CollectorRegistry()
    hook = PrometheusHook(registry)
    for lag in (1, 50, 250):
        hook(renewed(lag))
    hook(refused("aaaaaaaa", expired_for=500))
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
