"""What workers were delayed by: their own calls, or a machine that gave them no core."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from linqi_storm.apps.resource_use import CoreWait, open_files, waited_by_all_threads
from linqi_storm.apps.sampler import Sampler, ServerSample, read_samples
from linqi_storm.clients.client_session import Tally
from linqi_storm.run.kept_resources import kept_per_renewal
from linqi_storm.run.worker_stalls import blocked_percent, overdue_notes, overdue_of
from linqi_storm.schema.violations import REVOKED

IS_COUNTED = Path("/proc/self/schedstat").exists()


def a_sample(at: float, pid: int = 1, **values: Any) -> ServerSample:
    """Return a sample of an idle worker, with some values."""
    zeros = {field.name: 0 for field in fields(ServerSample)}
    return ServerSample(**{**zeros, "at": at, "pid": pid, **values})


def an_acceptance(late: float) -> Tally:
    """Return counts with one token that was accepted at 5 s, `late` seconds past the bound."""
    tally = Tally()
    tally.overdue(REVOKED, 5.0, late, "an access token")
    return tally


def test_a_token_accepted_past_the_bound_is_a_violation() -> None:
    """The workers had their cores: nothing explains it."""
    samples = [a_sample(1_000 + second) for second in range(9)]
    wrong, unknown, _ = overdue_of(an_acceptance(0.05), samples, 1_000)
    assert (wrong[REVOKED], unknown[REVOKED]) == (1, 0)
    assert overdue_notes(an_acceptance(0.05), samples, 1_000) == (f"{REVOKED}: an access token",)


def test_workers_without_a_core_can_keep_no_bound() -> None:
    """As long as they waited; what is later than that is a violation."""
    samples = [a_sample(1_004.5, starved_ms=300), a_sample(1_005.5, starved_ms=100)]
    for late, counts in ((0.39, (0, 1)), (0.41, (1, 0))):
        wrong, unknown, _ = overdue_of(an_acceptance(late), samples, 1_000)
        assert (wrong[REVOKED], unknown[REVOKED]) == counts


def test_only_the_worker_that_waited_longest_counts() -> None:
    """One worker accepted the token: the waits of two are not added."""
    samples = [a_sample(1_004.5, pid, starved_ms=300) for pid in (1, 2)]
    assert overdue_of(an_acceptance(0.31), samples, 1_000)[0][REVOKED] == 1


def test_waits_before_the_revocation_explain_nothing() -> None:
    """Nor do those after the acceptance."""
    samples = [a_sample(1_002, starved_ms=900), a_sample(1_007, starved_ms=900)]
    assert overdue_of(an_acceptance(0.05), samples, 1_000)[0][REVOKED] == 1


def test_the_worst_worker_is_judged() -> None:
    """A short run has no figure."""
    idle = [a_sample(second, 1) for second in range(9)]
    blocked = [a_sample(second, 2, blocked_ms=250) for second in range(8)]
    assert blocked_percent([*idle, *blocked]) == pytest.approx(25)
    assert blocked_percent(blocked[:3]) is None


@pytest.mark.parametrize("name", ["threads", "files"])
def test_what_each_renewal_keeps_is_counted_beyond_pools(name: str) -> None:
    """A pool that fills up is no leak; 60 renewals of each worker that keep one each are."""

    def kept(per_second: int, most: int = 10_000) -> float | None:
        samples = [
            a_sample(second, **{name: min(most, second * per_second)}) for second in range(12)
        ]
        return kept_per_renewal(samples, name, renewals=120, workers=2, is_embedded=True)

    assert kept(0) == 0
    assert kept(6, most=35) == 0
    leaking = kept(6)
    assert leaking is not None
    assert leaking > 0.3
    assert kept_per_renewal([], name, renewals=120, workers=2, is_embedded=True) is None


async def test_a_sample_tells_a_blocking_call_from_work(tmp_path: Path) -> None:
    """0.3 s of sleep block the event loop; 0.3 s of work do not, however busy the machine is."""
    found = []
    for is_blocked in (True, False):
        sampler = Sampler(tmp_path / f"{is_blocked}.jsonl")
        sampler._begin()
        await asyncio.sleep(0.05)
        until = time.thread_time() + 0.3
        if is_blocked:
            time.sleep(0.3)  # noqa: ASYNC251 - it is the fault
        while not is_blocked and time.thread_time() < until:
            pass
        await asyncio.sleep(0.05)
        sampler._end()
        await asyncio.sleep(0.05)
        samples = read_samples([tmp_path / f"{is_blocked}.jsonl"])
        found.append(sum(sample.blocked_ms for sample in samples))
        assert max(sample.threads for sample in samples) >= 1
        assert max(sample.files for sample in samples) >= 3
    assert found[0] > 200
    if IS_COUNTED:
        assert found[1] < 100


def test_files_are_counted_without_sockets(tmp_path: Path) -> None:
    """The number of connections depends on the load."""
    before = open_files()
    with (tmp_path / "kept").open("wb"):
        assert open_files() == before + 1
    assert open_files() == before


@pytest.mark.skipif(not IS_COUNTED, reason="Linux counts it")
def test_waiting_for_a_core_is_counted() -> None:
    """All threads of a process together waited at least as long as one of them."""
    wait = CoreWait()
    before = wait.seconds()
    busy = [threading.Thread(target=sum, args=(range(2_000_000),)) for _ in range(4)]
    for thread in busy:
        thread.start()
    for thread in busy:
        thread.join()
    assert 0 <= before <= wait.seconds() <= waited_by_all_threads()
    wait.close()
    assert wait.seconds() == 0
