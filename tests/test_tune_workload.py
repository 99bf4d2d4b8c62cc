"""From a log to a workload: pages, pauses and visits as the users of the log had them."""

import argparse
import json
import random
import subprocess
import sys
from array import array
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from linqi import ConfigurationError
from linqi_storm.command import add_options
from linqi_storm.run.storm_options import config_of
from linqi_storm.scenarios.workload_traffic import WorkloadPages
from linqi_storm.schema.result_file import load_run
from linqi_storm.schema.workload import read_workload
from linqi_tune.evidence.workload_source import log_source_at, read_log_workload
from linqi_tune.model.histories import Histories
from linqi_tune.model.log_workload import VISIT_SECONDS, workload_of_log, workload_remarks
from linqi_tune.model.logged_traffic import Endpoint, LoggedPage, LoggedTraffic

DAY = 86_400.0


def traffic(**changes: object) -> LoggedTraffic:
    """Return the requests of a shop, of which some pages are not listed."""
    endpoints = [
        Endpoint(method="GET", path="/cart", example="/cart", requests=600),
        Endpoint(method="GET", path="/items/{id}", example="/items/7", requests=300),
        Endpoint(method="POST", path="/orders", example="/orders", requests=50),
    ]
    pages = [
        LoggedPage(requests=(0,), count=400),
        LoggedPage(requests=(0, 1), count=100),
        LoggedPage(requests=(1, -1), count=50),
        LoggedPage(requests=(2,), count=50),
    ]
    usual: dict[str, object] = {
        "endpoints": endpoints,
        "other_requests": 50,
        "pages": pages,
        "other_pages": 40,
        "parallel": [(1, 450), (2, 300), (12, 40)],
        "arrivals_per_second": 0.1,
        "requests_per_second": 1.0,
        "seconds": DAY,
        "source": "access.log",
    }
    return LoggedTraffic(**{**usual, **changes})  # type: ignore[arg-type]


def visitors(seed: int = 1, seconds: float = 2 * DAY) -> Histories:
    """Return persons with visits of 1, 2 or 9 pages, 20 s apart, absent for 2 or 6 hours."""
    rng = random.Random(seed)
    pages = []
    for _ in range(400):
        instants, now = array("d"), -rng.random() * 3_600
        while now < seconds:
            for _ in range(rng.choice((1, 2, 9))):
                if 0 <= now < seconds:
                    instants.append(now)
                now += 20
            now += rng.choice((7_200, 21_600))
        if instants:
            pages.append(instants)
    return Histories(pages=pages, seconds=seconds, persons=len(pages))


def test_visits_and_absences_are_those_of_the_log() -> None:
    """Their shares are right although some visits and absences had not ended."""
    workload = workload_of_log(visitors(), traffic())
    assert workload.pauses.mean == pytest.approx(20, abs=0.01)
    assert workload.visits is not None
    lengths = dict(zip(workload.visits.pages, workload.visits.counts, strict=True))
    total = sum(lengths.values())
    assert set(lengths) == {1, 2, 9}
    assert [lengths[n] / total for n in (1, 2, 9)] == [pytest.approx(1 / 3, abs=0.03)] * 3
    away = workload.visits.absences
    short = sum(c for s, c in zip(away.seconds, away.counts, strict=True) if s < 10_000)
    assert short / sum(away.counts) == pytest.approx(0.5, abs=0.03)


def test_users_who_do_not_return_count_as_absent() -> None:
    """Without them, sessions of a storm would return more often than those of the log."""
    leaving = [array("d", [0.0, 20.0]) for _ in range(90)]
    returning = [array("d", [0.0, 20.0, 5_020.0, 5_040.0]) for _ in range(10)]
    histories = Histories(pages=leaving + returning, seconds=9_000, persons=100)
    workload = workload_of_log(histories, traffic())
    assert workload.visits is not None
    assert workload.visits.absences.mean == pytest.approx(0.1 * 5_000 + 0.9 * 8_980, rel=0.01)
    assert Counter(workload.visits.pages) == {2: 1}
    alone = Histories(pages=[array("d", [0.0, 20.0])], seconds=9_000, persons=1)
    assert workload_of_log(alone, traffic()).visits is None


def test_each_page_size_is_as_frequent_as_in_the_whole_log() -> None:
    """Rare compositions are mostly large pages: leaving them out would make pages smaller."""
    workload = workload_of_log(visitors(), traffic())
    weights = Counter[int]()
    for page in workload.pages:
        weights[len(page.requests)] += page.weight  # type: ignore[assignment]
    assert weights[12] == 40
    assert sum(weights.values()) == pytest.approx(790)
    shares = {tuple(r.path for r in page.requests): page.weight for page in workload.pages}
    assert shares["/cart",] == 450
    assert shares["/cart", "/items/7"] == 200
    assert WorkloadPages(workload).mean == pytest.approx((450 + 400 + 100 + 480) / 790)


def test_only_requests_without_a_body_are_kept() -> None:
    """What is left out is told with its share."""
    workload = workload_of_log(visitors(), traffic())
    assert {r.path for page in workload.pages for r in page.requests} == {"/cart", "/items/7"}
    assert [remark.partition(" ")[0] for remark in workload_remarks(traffic())] == ["5.0%", "5.0%"]
    posts = traffic(endpoints=traffic().endpoints[2:], pages=[LoggedPage(requests=(0,), count=1)])
    with pytest.raises(ConfigurationError, match=r"access.log: no request is a GET"):
        workload_of_log(visitors(), posts)
    single = Histories(pages=[array("d", [1.0])], seconds=9_000, persons=1)
    with pytest.raises(ConfigurationError, match="no person requested two pages"):
        workload_of_log(single, traffic())


def test_a_pause_of_half_an_hour_ends_a_visit() -> None:
    """The bound belongs to the absences."""
    times = [array("d", [0.0, VISIT_SECONDS - 0.1, 2 * VISIT_SECONDS - 0.1])]
    workload = workload_of_log(Histories(pages=times, seconds=3_700, persons=1), traffic())
    assert workload.pauses.seconds == (VISIT_SECONDS - 0.1,)
    assert workload.visits is not None
    assert workload.visits.absences.seconds == (VISIT_SECONDS,)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a log of 100 persons over a day: pages of one, two and three requests."""
    rng, begin = random.Random(3), datetime(2026, 11, 20, tzinfo=UTC)
    lines = []
    for person in range(100):
        now = rng.random() * 7_200
        while now < DAY:
            for _ in range(rng.choice((2, 6))):
                page = rng.choice((["/cart"], ["/cart", "/items"], ["/cart", "/items", "/x"]))
                lines.extend((now, person, path) for path in page)
                now += rng.choice((10, 40))
            now += rng.choice((3_600, 14_400))
    path = tmp_path_factory.mktemp("log") / "access.log"
    with path.open("w") as file:
        for now, person, requested in sorted(lines):
            at = (begin + timedelta(seconds=int(now))).strftime("%d/%b/%Y:%H:%M:%S +0000")
            request = f"GET {requested}?password=secret HTTP/1.1"
            file.write(f'10.0.0.1 - u{person} [{at}] "{request}" 200 9 "-" "Mozilla/5.0"\n')
    return path


def test_the_workload_of_a_file_has_its_pages_pauses_and_visits(log: Path) -> None:
    """Nothing is rescaled, and neither users nor queries are in it."""
    workload = read_log_workload(f"{log}?session=user")
    assert workload.pauses.mean == pytest.approx(25, abs=1)
    assert workload.visits is not None
    assert set(workload.visits.pages) == {2, 6}
    assert WorkloadPages(workload).mean == pytest.approx(2, abs=0.1)
    assert "secret" not in repr(workload)
    assert "u99" not in repr(workload)


def test_a_place_of_a_log_has_the_options_of_the_tuner() -> None:
    """A question mark of a pattern is part of the name; unknown options are named."""
    source = log_source_at("access.log?session=sid&exclude=bots&exclude=path=/poll&quiet=/p")
    assert (source.paths, source.session, source.quiet) == (["access.log"], "sid", ["/p"])
    assert log_source_at("access.log.?.gz?session=sid").paths == ["access.log.?.gz"]
    with pytest.raises(ConfigurationError, match=r"option 'sesion', expected .*session"):
        log_source_at("access.log?sesion=sid")
    with pytest.raises(ConfigurationError, match=r"access.log\?session=FIELD"):
        log_source_at("access.log")


def test_a_storm_reads_a_log_directly(log: Path) -> None:
    """``--gaps log:FILE`` divides pauses by the compression and by nothing else."""
    parser = argparse.ArgumentParser()
    add_options(parser)
    gaps = f"log:{log}?session=user"
    storm = config_of(parser.parse_args(["--gaps", gaps, "--compress", "60"]))
    assert storm.load.workload == read_log_workload(f"{log}?session=user").scaled(1 / 60)
    asked = config_of(parser.parse_args(["--gaps", gaps, "--compress", "60", "--gap-seconds", "6"]))
    assert asked.load.gap == pytest.approx(0.1)
    assert asked.load.workload is not None
    assert asked.load.workload.pauses.mean == pytest.approx(0.1)


def test_a_log_becomes_a_file_and_the_file_a_storm(log: Path, tmp_path: Path) -> None:
    """`linqi tune` writes it, and the clients of `linqi storm` behave like the log's users."""

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "linqi", *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=200, check=False, cwd=tmp_path
        )
        return done.stdout + done.stderr

    told = run(
        *("tune", "--log", str(log), "--log-session", "user", "--dry-run"),
        *("--workload", "workload.json"),
    )
    assert "workload: workload.json" in told
    workload = read_workload(tmp_path / "workload.json")
    assert workload == read_log_workload(f"{log}?session=user")
    assert json.loads((tmp_path / "workload.json").read_text())["version"] == 1
    run(
        *("storm", "--workload", "workload.json", "--sessions", "200", "--compress", "60"),
        *("--alg", "ES256", "--seconds", "16", "--output", "storm.json"),
    )
    storm = load_run(tmp_path / "storm.json")
    assert [
        check.name for check in storm.checks if check.name.startswith("forced") and check.seen
    ] == []
    assert storm.setup.load.gaps.startswith("of access.log")
    parallel = storm.traffic.parallel
    assert set(parallel.values) == {1, 2, 3}
    mean = sum(v * c for v, c in zip(parallel.values, parallel.counts, strict=True))
    assert mean / parallel.total == pytest.approx(2, abs=0.2)
    assert max(storm.traffic.gaps.values) == pytest.approx(14_400 / 60, rel=0.02)
