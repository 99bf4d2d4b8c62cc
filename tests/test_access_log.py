"""What an access log says of the visitors, and who is left out of it."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from big_log import write_big_log
from linqi.errors import ConfigurationError
from linqi_tune.evidence.access_log import LogMeasurements, LogSource, UnreadableLog, read_logs
from linqi_tune.evidence.log_engine import LogEngine
from linqi_tune.evidence.log_remarks import remarks_on_log
from linqi_tune.evidence.log_selection import LogSelection
from simulated import clicks_and_reads

BEGAN = 1_795_000_000
QUIET_TARGETS = "/polls /polls?since=7&x=/me /events/a%20b https://shop.example/polls?x"
OTHER_TARGETS = "/me /polls/ /events/..%2fme /events/%2e%2e/me * http://[ /pollsx /me?/polls"

Request = tuple[float, str] | tuple[float, str, dict[str, Any]]


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
        json.dumps({"time": BEGAN + at, "sid": f"SID{session}", "status": 200})
        for at, session in sorted(visits)
    ]
    lines[10:10] = ["not json at all"] * 3
    text = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return gaps


def write_requests(path: Path, requests: Iterable[Request]) -> Path:
    """Write requests, each with its instant and its session, in their order."""
    lines = []
    for at, session, *more in requests:
        told = {"ts": BEGAN + at, "sid": session, "status": 200, "path": "/", "method": "GET"}
        lines.append(json.dumps({**told, **(more[0] if more else {})}))
    path.write_text("\n".join(lines) + "\n")
    return path


def read(
    path: Path,
    exclude: Sequence[str] = (),
    only: Sequence[str] = (),
    lifetime: float = 900,
    session: str = "sid",
    **more: Any,
) -> LogMeasurements:
    """Read a log of `write_requests`."""
    source = LogSource(paths=[path], session=session, selection=LogSelection(exclude, only), **more)
    return read_logs(source, lifetime=lifetime)


def pages_of(log: LogMeasurements) -> list[list[float]]:
    """Return the pages of each person as lists, rounded."""
    return [[round(at, 3) for at in pages] for pages in log.histories.pages]


def test_a_log_gives_the_loss_of_the_gaps_it_was_written_with(tmp_path: Path) -> None:
    """The share of late renewals is within 15 %; malformed lines are counted."""
    path = tmp_path / "access.log.gz"
    write_log(path)
    told: list[tuple[int, int]] = []
    found = read_logs(
        LogSource(paths=[path], session="sid"),
        progress=lambda done, total: told.append((done, total)),
    )
    assert found.summary.malformed == 3
    assert found.summary.sessions == 60
    assert told[-1][0] == told[-1][1] == path.stat().st_size
    mean = found.visitors.gaps.restricted_mean
    assert (mean(900) - mean(300)) / mean(600) == pytest.approx(0.24, rel=0.15)


def test_the_order_of_lines_and_files_does_not_matter(tmp_path: Path) -> None:
    """Rotated files in any order and shuffled lines give what the sorted log gives."""
    whole = tmp_path / "whole.log"
    write_log(whole)
    lines = whole.read_bytes().splitlines(keepends=True)
    (tmp_path / "b.log").write_bytes(b"".join(lines[:2000]))
    (tmp_path / "a.log.gz").write_bytes(gzip.compress(b"".join(lines[2000:])))
    random.Random(1).shuffle(lines)
    (tmp_path / "shuffled.log").write_bytes(b"".join(lines))
    one = read(whole)
    for other in ("[ab].log*", "shuffled.log"):
        two = read(tmp_path / other)
        assert two.histories == one.histories
        assert two.visitors.parallel == one.visitors.parallel
        assert two.visitors.gaps.mean == pytest.approx(one.visitors.gaps.mean)
        assert two.visitors.sessions == one.visitors.sessions
        assert two.summary.out_of_order > 0
        assert "earlier than the line before" in " ".join(remarks_on_log(two))
    assert one.summary.out_of_order == 0


def test_pages_sessions_and_peaks_are_counted(tmp_path: Path) -> None:
    """Requests within a second are one page; who came within a lifetime is active."""
    requests = ((0, "a"), (0.2, "a"), (0.5, "a"), (10, "a"), (10.1, "b"), (200, "b"), (200.1, "b"))
    log = read(
        write_requests(
            tmp_path / "a.log",
            [(at, who, {"status": 401 if at == 10 else 200}) for at, who in requests],
        ),
        lifetime=100,
    )
    assert log.visitors.parallel == [(1.0, 2.0), (2.0, 1.0), (3.0, 1.0)]
    assert sorted(round(gap, 1) for gap, _ in log.visitors.gaps.items()) == [9.5, 189.9]
    assert log.visitors.peak_rps == 3
    told = log.summary
    assert (told.visits, told.sessions, told.refused, told.left) == (7, 2, 1, 1)
    assert log.visitors.sessions == 2
    assert pages_of(log) == [[0, 10], [10.1, 200]]
    assert log.histories.seconds == pytest.approx(200.1)


def test_a_second_between_requests_is_another_page(tmp_path: Path) -> None:
    """The boundary: 0.999 s is the same page, 1 s is not, and a page may last longer."""
    path = write_requests(tmp_path / "a.log", [(at, "a") for at in (0, 0.999, 1.9, 2.9, 3.25)])
    assert pages_of(read(path)) == [[0, 2.9]]


def test_a_session_that_is_silent_for_a_day_is_over(tmp_path: Path) -> None:
    """Its silence is no pause, and it counts again."""
    path = write_requests(
        tmp_path / "a.log",
        [(day * 86_500 + n, f"s{n}") for day in range(5) for n in range(20)],
    )
    log = read(path)
    assert (log.summary.sessions, log.summary.left) == (100, 80)
    assert log.visitors.gaps.total == 0
    assert log.histories.persons == 20


def test_the_most_active_sessions_are_counted_exactly(tmp_path: Path) -> None:
    """Against a count by brute force."""
    rng = random.Random(3)
    requests = [(rng.random() * 5_000, f"s{rng.randrange(40)}") for _ in range(400)]
    log = read(write_requests(tmp_path / "a.log", requests), lifetime=120)
    starts = [at for at, _ in requests]
    most = max(len({who for at, who in requests if now - 120 < at <= now}) for now in starts)
    assert log.visitors.sessions == most


@pytest.mark.parametrize("member", ["path", "uri", "request_uri", "url", "request", "line"])
def test_a_quiet_request_is_known_by_its_target(tmp_path: Path, member: str) -> None:
    """As the middleware would read it, in all usual members."""
    targets = [*QUIET_TARGETS.split(), *OTHER_TARGETS.split()]
    lines = []
    for n, target in enumerate(targets):
        told: dict[str, Any] = {"ts": BEGAN + n * 10, "sid": "a"}
        if member == "line":
            told["request"] = f"GET {target} HTTP/1.1"
        else:
            told[member] = target
        lines.append(json.dumps(told))
    path = tmp_path / "a.log"
    path.write_text("\n".join(lines) + "\n")
    log = read(path, quiet=["/polls", "/events/*"])
    assert (log.summary.quiet, log.summary.visits) == (4, len(targets) - 4)


def test_polls_make_no_pause_shorter_and_no_session_active(tmp_path: Path) -> None:
    """A session that polls every 5 s between two visits 900 s apart has one pause, of 900 s."""
    visits = [(at, "a") for at in range(0, 9000, 900)]
    polls: list[Request] = []
    for at in range(0, 9000, 5):
        if at % 900:
            polls += [(at, who, {"path": "/polls", "status": 401}) for who in "ab"]
    loud = read(write_requests(tmp_path / "loud.log", visits), quiet=["/polls"])
    polled = read(write_requests(tmp_path / "polled.log", [*visits, *polls]), quiet=["/polls"])
    told = polled.summary
    assert (told.quiet, told.visits, told.sessions, told.refused) == (3580, 10, 1, 0)
    assert list(polled.visitors.gaps.items()) == list(loud.visitors.gaps.items())
    assert (loud.summary.quiet, loud.summary.visits) == (0, 10)
    assert polled.visitors.peak_rps == 2


def test_histories_are_a_repeatable_sample_within_their_bound(tmp_path: Path) -> None:
    """The same log gives the same persons, though their hashes differ in each run."""
    from linqi_tune.evidence import log_visitors

    path = tmp_path / "a.log"
    write_log(path, sessions=200, hours=2)
    one, two = read(path), read(path)
    assert one.histories == two.histories
    assert one.histories.persons == len(one.histories.pages) == 200
    whole = sum(map(len, one.histories.pages))
    sampled: list[Any] = []

    def bounded(engine: Any, seconds: float) -> Any:
        sampled.append(log_visitors.histories_of(engine, seconds, whole // 4))
        return sampled[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("linqi_tune.evidence.access_log.histories_of", bounded)
        log = read(path)
    assert sum(map(len, sampled[0].pages)) == pytest.approx(whole / 4, rel=0.35)
    assert sampled[0].persons == 200
    assert all(list(pages) == sorted(pages) for pages in sampled[0].pages)
    assert "drawn at random" in " ".join(remarks_on_log(log))


def test_the_traffic_is_endpoints_and_pages_of_parallel_requests(tmp_path: Path) -> None:
    """Ids are one endpoint, and a page lists its requests in the order of the log."""
    requests: list[Request] = []
    for n in range(40):
        for k, path in enumerate(("/shop", f"/items/{n}", "/assets/9f86d081884c7d65.js?v=1")):
            requests.append((n * 60 + k * 0.1, "a", {"path": path}))
        requests.append((n * 60 + 30, "b", {"path": "/me", "method": "POST"}))
    traffic = read(write_requests(tmp_path / "a.log", requests), with_traffic=True).traffic
    assert traffic is not None
    listed = [(one.method, one.path, one.requests) for one in traffic.endpoints]
    assert sorted(listed) == [
        ("GET", "/assets/{id}", 40),
        ("GET", "/items/{id}", 40),
        ("GET", "/shop", 40),
        ("POST", "/me", 40),
    ]
    places = {one.path: place for place, one in enumerate(traffic.endpoints)}
    pages = {one.requests: one.count for one in traffic.pages}
    assert pages == {
        (places["/shop"], places["/items/{id}"], places["/assets/{id}"]): 40,
        (places["/me"],): 40,
    }
    assert traffic.parallel == [(1, 40), (3, 40)]
    assert (traffic.other_pages, traffic.other_requests) == (0, 0)
    assert traffic.endpoints[places["/items/{id}"]].example.startswith("/items/")


PEOPLE = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"


@pytest.fixture(scope="module")
def population(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a log of 50 users and of one of each kind that stands out."""
    rng = random.Random(7)
    requests: list[Request] = []
    for user in range(50):
        at = rng.random() * 600
        while at < 50_000:
            requests.append((at, f"10.0.0.{user}", {"path": "/shop", "agent": PEOPLE}))
            at += clicks_and_reads(rng) * 3
    monitor = {"path": "/health", "agent": "probe"}  # no name of a crawler
    requests += [(float(at), "10.0.1.1", monitor) for at in range(0, 50_000, 400)]
    program = {"agent": "curl/8.5.0"}
    requests += [(n * 5.5 * rng.random(), "10.0.1.2", program) for n in range(9_000)]
    for n in range(600):
        agent = f"{PEOPLE} Edition/{n % 30}"
        requests.append((rng.random() * 50_000, "10.0.1.3", {"agent": agent, "path": "/shop"}))
    requests.sort(key=lambda request: request[0])
    return write_requests(tmp_path_factory.mktemp("population") / "population.log", requests)


def test_who_stands_out_is_told_with_numbers_and_the_option(population: Path) -> None:
    """Programs, clocks, dominant sessions and shared addresses, each by its kind."""
    log = read_logs(LogSource(paths=[population], session="sid"))
    kinds = {one.kind: one for one in log.populations}
    assert set(kinds) == {"bots", "cron", "dominant"}
    assert kinds["cron"].persons == 1
    assert kinds["cron"].path == "/health"
    assert kinds["bots"].persons == 1
    assert kinds["bots"].agent == "curl/8.5.0"
    told = " ".join(remarks_on_log(log))
    for kind in kinds:
        assert f"--exclude {kind} leaves them out" in told
    assert "10.0.1" not in told


def test_one_address_of_many_users_is_shared(population: Path, tmp_path: Path) -> None:
    """Only where persons are addresses; else the kind is a wrong option."""
    path = tmp_path / "addresses.log"
    path.write_text(population.read_text().replace('"sid"', '"remote_addr"'))
    log = read(path, session="address")
    (shared,) = [one for one in log.populations if one.kind == "shared"]
    assert shared.persons == 1
    before = log.histories.persons
    assert read(path, ["shared"], session="address").histories.persons == before - 1
    with pytest.raises(ConfigurationError, match="shared is for --log-session address"):
        read(path, ["shared"], session="remote_addr")


@pytest.mark.parametrize(
    ("exclude", "only", "persons"),
    [
        (["cron"], [], 52),
        (["bots"], [], 52),
        (["cron", "bots", "dominant"], [], 51),
        (["agent=CURL*"], [], 52),
        (["path=/health"], [], 52),
        (["person=10.0.1.*"], [], 50),
        (["person=10.0.0.?"], [], 43),
        ([], ["path=/shop"], 51),
        ([], ["path=/shop", "path=/health", "person=10.0.1.*"], 2),
        ([], ["cron"], 1),
        ([], ["bots", "cron"], 2),
        (["status=200"], ["cron"], 0),
        (["path=[/]*"], [], 53),
    ],
)
def test_populations_are_left_out_or_kept_alone(
    population: Path, exclude: list[str], only: list[str], persons: int
) -> None:
    """By a field with a pattern, or by a kind; those of one field are alternatives."""
    if not persons:
        with pytest.raises(UnreadableLog, match="--exclude"):
            read(population, exclude, only)
        return
    log = read(population, exclude, only)
    assert log.histories.persons == persons
    assert (log.summary.left_out > 0) == (persons < 53)
    assert log.summary.visits + log.summary.left_out == log.summary.lines
    if log.summary.left_out:
        assert "left out by --exclude or --only" in " ".join(remarks_on_log(log))


def test_one_clock_can_make_most_of_the_losses_and_is_left_out(tmp_path: Path) -> None:
    """The defect: pauses of 400 s by a clock read as renewals that a buffer would save."""
    rng = random.Random(9)
    requests: list[Request] = []
    for user in range(20):
        at = rng.random() * 60
        while at < 80_000:
            requests.append((at, f"u{user}"))
            at += rng.expovariate(1 / 60)
    clock: list[Request] = [(at, "clock") for at in range(0, 80_000, 700)]
    alone = read(write_requests(tmp_path / "users.log", requests))
    mixed = write_requests(tmp_path / "mixed.log", [*requests, *clock])
    (found,) = [one for one in read(mixed).populations if one.kind == "cron"]
    assert found.at_risk > 0.3
    assert found.pages < 0.01
    without = read(mixed, ["cron"])
    assert without.histories == alone.histories
    assert list(without.visitors.gaps.items()) == list(alone.visitors.gaps.items())


@pytest.mark.parametrize("wrong", ["", "robots", "path", "path=", "=x", "referer=x", "bots=x"])
def test_a_condition_that_is_none_is_refused(wrong: str) -> None:
    """The message names the option, the kinds and the fields."""
    for option in ("exclude", "only"):
        with pytest.raises(ConfigurationError, match=f"--{option} .*cron.*path="):
            LogSelection(**{option: [wrong]})


@pytest.mark.parametrize("pattern", ["x'; DROP TABLE requests; --", "[a-z]*", "\\", "%", "a\\[b"])
def test_a_pattern_is_never_sql(tmp_path: Path, pattern: str) -> None:
    """Only ``*`` and ``?`` have a meaning in a pattern."""
    path = write_requests(tmp_path / "a.log", [(0, pattern), (5, "abc")])
    assert read(path, [f"person={pattern}"]).histories.persons == 1


def test_no_value_of_a_person_is_told(tmp_path: Path) -> None:
    """Neither the measurements nor the remarks hold what names a person."""
    path = write_requests(tmp_path / "a.log", [(n * 400.0, "secret-session") for n in range(90)])
    log = read(path)
    assert log.populations
    told = repr(log) + " ".join(remarks_on_log(log))
    assert "secret" not in told


def test_memory_is_bounded(tmp_path: Path) -> None:
    """A log of 100 MB takes less than 600 MB, and 400,000 requests are read."""
    path = tmp_path / "big.log"
    write_big_log(path, 100_000_000)
    command = [sys.executable, str(Path(__file__).parent / "big_log.py"), str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    requests, _, _, peak = done.stdout.split(", ")
    assert int(requests.partition(" ")[0].replace(",", "")) > 400_000
    assert int(peak.partition(" ")[0]) < 600


def test_a_short_log_is_told_in_minutes_and_requests(tmp_path: Path) -> None:
    """Three minutes were "0.0 days", and three requests in one second "3 visits"."""
    log = read(write_requests(tmp_path / "access.log", ((0, "a"), (0.2, "a"), (200, "b"))))
    told = " ".join(remarks_on_log(log))
    assert "over 3.3 minutes: 3 requests of 2 sessions" in told


def test_ctrl_c_ends_a_query_before_its_database_is_closed() -> None:
    """The defect: a join that Ctrl-C broke took the thread for ended, and the process aborted."""
    timer = threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
    sql = "SELECT sum(a.n % b.n) FROM range(1, 9999999) a(n), range(1, 99999) b(n)"
    with LogEngine() as engine:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            engine.run(f"CREATE TABLE t AS {sql}")
    signal.signal(signal.SIGINT, before)
