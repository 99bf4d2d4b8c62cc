"""The counts of several generators add up to those of one."""

import json
import random
from collections.abc import Collection
from dataclasses import replace

import pytest

from linqi_storm.apps.sampler import ServerSample
from linqi_storm.clients.load_counts import LoadRecorder, LoadTotals, percentiles_of, spectrum_of
from linqi_storm.run.generator_health import generator_of
from linqi_storm.run.memory import memory_growth
from linqi_storm.run.timeline import latencies_by_window, timeline_of
from linqi_storm.schema.results import Peak, Window


def shipped(recorder: LoadRecorder) -> dict[str, object]:
    """Return a recorder's new counts as another process receives them."""
    return dict(json.loads(json.dumps(recorder.delta())))


def test_histograms_of_several_generators_merge_into_one() -> None:
    """Merged percentiles are those of all values together, not a mean of percentiles."""
    draw = random.Random(3)
    values = [draw.expovariate(100) for _ in range(6_000)]
    alone, parts = LoadRecorder(), [LoadRecorder() for _ in range(3)]
    for number, value in enumerate(values):
        alone.record(1.5, "ok", value, value * 2)
        parts[number % 3].record(1.5, "ok", value, value * 2)
    whole, merged = LoadTotals(), LoadTotals()
    whole.merge(shipped(alone))
    for part in parts:
        merged.merge(shipped(part))
    for seen, wanted in zip(merged.latencies([1]), whole.latencies([1]), strict=True):
        assert spectrum_of(seen) == spectrum_of(wanted)
    assert merged.counts(1).outcomes == {"ok": 6_000}
    service = percentiles_of(merged.latencies([1])[0])
    assert service is not None
    assert service.p99_ms == pytest.approx(sorted(values)[5_940] * 1_000, rel=0.02)


def test_counts_are_reported_once() -> None:
    """A recorder returns only new counts; the driver keeps its reference to the tally."""
    recorder, totals = LoadRecorder(), LoadTotals()
    tally = recorder.tally
    for renewals in (2, 3):
        tally.renewals += renewals
        tally.renewed_at[1_500] += 1
        tally.lags.append((7, 0.25))
        recorder.record(0.5, "ok", 0.001, 0.002)
        totals.merge(shipped(recorder))
    totals.merge(shipped(recorder))
    assert (totals.tally.renewals, totals.tally.renewed_at) == (5, {1_500: 2})
    assert totals.tally.lags == [(7, 0.25), (7, 0.25)]
    assert totals.counts(0).outcomes == {"ok": 2}


def test_hostile_requests_are_in_no_other_figure() -> None:
    """They have counts of their own, and no latency."""
    recorder, totals = LoadRecorder(), LoadTotals()
    recorder.record_hostile(0.1, "refused")
    totals.merge(shipped(recorder))
    assert totals.counts(0).hostile == {"refused": 1}
    assert not totals.counts(0).outcomes
    assert percentiles_of(totals.latencies([0])[0]) is None


def test_seconds_belong_to_a_window_by_their_middle() -> None:
    """The warm-up belongs to the whole run only, unless a window begins with it."""
    recorder, totals = LoadRecorder(), LoadTotals()
    for second in range(12):
        recorder.record(second + 0.2, "ok", 0.001, 0.001)
    totals.merge(shipped(recorder))
    window = Window(label="expiry", begins=5.4, ends=8)
    whole, inside, outside = latencies_by_window(totals, [window], 12)
    assert inside is not None
    assert outside is not None
    counts = [found.intended.count for found in (whole, inside, outside)]
    assert counts == [12, 3, 6]
    rush = Window(label="rush", begins=0, ends=5)
    parts = latencies_by_window(totals, [rush], 12)
    counts = [0 if found is None else found.intended.count for found in parts]
    assert counts == [12, 5, 7]


def lagging(milliseconds: float, cpu: float) -> LoadTotals:
    """Return the totals of a generator with this delay and CPU."""
    recorder, totals = LoadRecorder(), LoadTotals()
    for place in range(100):
        recorder.record_lag(place / 10, milliseconds / 1_000)
    for second in range(10):
        recorder.note(second, in_flight=1, cpu=cpu)
    totals.merge(shipped(recorder))
    return totals


@pytest.mark.parametrize(
    ("milliseconds", "cpu", "is_valid"),
    [(9.9, 0.79, True), (10.2, 0.1, False), (1.0, 0.81, False)],
)
def test_a_late_or_busy_generator_makes_a_run_void(
    milliseconds: float, cpu: float, is_valid: bool
) -> None:
    """A delay above 10 ms at p99, or more than 80 % of a core, makes a run void."""
    assert generator_of(lagging(milliseconds, cpu), 10).is_valid is is_valid


def test_a_run_in_which_nothing_was_sent_is_void() -> None:
    """Zero violations among zero requests prove nothing."""
    found = generator_of(LoadTotals(), 10)
    assert (found.is_valid, found.faults) == (False, ("no request was sent",))


EXPIRY = (Window(label="expiry", begins=20, ends=30),)


def late_in(seconds: Collection[int], *, cpu: Collection[int] = ()) -> LoadTotals:
    """Return the totals of 40 seconds: 100 requests in each, 50 ms late in `seconds`."""
    recorder, totals = LoadRecorder(), LoadTotals()
    for second in range(40):
        recorder.note(second, in_flight=1, cpu=0.9 if second in cpu else 0.3)
        for place in range(100):
            recorder.record_lag(second + place / 100, 0.05 if second in seconds else 0.001)
            recorder.record(
                second + place / 100, "ok", 0.002, 0.052 if second in seconds else 0.003
            )
    totals.merge(shipped(recorder))
    return totals


@pytest.mark.parametrize(
    ("late", "is_valid", "left_out"),
    [
        ((), True, ()),
        ((5, 33), True, (5, 33)),
        ((3, 4, 5), True, (3, 4, 5)),
        ((3, 4, 5, 6), False, ()),
        ((25,), False, ()),
        ((5, 25), False, ()),
    ],
)
def test_late_seconds_outside_the_windows_are_left_out(
    late: tuple[int, ...], is_valid: bool, left_out: tuple[int, ...]
) -> None:
    """At most a tenth of them, and none inside a window: those are the ones that are measured."""
    found = generator_of(late_in(late), 40, EXPIRY)
    assert (found.is_valid, found.late_seconds) == (is_valid, left_out)
    assert (found.lag_p99_ms > 10) is not is_valid


def test_a_late_second_beside_the_peak_makes_the_run_void() -> None:
    """Requests that were held back come in a bunch, which looks like a storm."""
    peak = Peak(
        label="whole run",
        begins=0,
        ends=40,
        window_seconds=2,
        renewals=100,
        peak_per_second=10,
        floor_per_second=5,
        factor=2,
        noise95=1.5,
        at=35.0,
    )
    assert not generator_of(late_in([33]), 40, EXPIRY, [peak]).is_valid
    assert not generator_of(late_in([36]), 40, EXPIRY, [peak]).is_valid
    assert generator_of(late_in([31]), 40, EXPIRY, [peak]).is_valid


def test_busy_seconds_are_left_out_as_late_ones_are() -> None:
    """Near its CPU limit a generator measures itself."""
    found = generator_of(late_in([], cpu=[1, 2, 3]), 40, EXPIRY)
    assert (found.is_valid, found.late_seconds) == (True, (1, 2, 3))
    assert not generator_of(late_in([], cpu=[22, 23, 24]), 40, EXPIRY).is_valid


def test_latencies_are_those_of_the_seconds_that_were_not_left_out() -> None:
    """A second in which the generator was late has no latency, nor has it in the whole."""
    totals = late_in([5, 33])
    late = generator_of(totals, 40, EXPIRY).late_seconds
    overall, inside, outside = latencies_by_window(totals, EXPIRY, 40, late)
    assert (overall.intended.count, overall.intended.max_ms) == (3_800, pytest.approx(3, rel=0.01))
    assert inside is not None
    assert outside is not None
    assert (inside.intended.count, outside.intended.count) == (1_000, 2_500)


def a_sample(at: float, pid: int, signatures: int) -> ServerSample:
    """Return one second of one worker."""
    return ServerSample(
        at=at,
        pid=pid,
        cpu=0.5,
        loop_lag_ms=1,
        memory_mb=50,
        renewals=0,
        signatures=signatures,
        signed_twice=0,
        failed=0,
        budget_queue=2,
        families_killed=0,
        cache_hits=3,
        cache_misses=1,
        store_calls=0,
    )


@pytest.mark.parametrize(("step", "growth"), [(0.0, 0.0), (0.1, 0.21)])
def test_memory_that_keeps_growing_is_found(step: float, growth: float) -> None:
    """The last fifth of a long run is compared with the middle one; a short run has no figure."""
    samples = [replace(a_sample(at, 1, 0), memory_mb=80 + at * step) for at in range(600)]
    assert memory_growth(samples) == pytest.approx(growth, abs=0.02)
    assert memory_growth(samples[:299]) is None


def test_the_samples_of_the_workers_stand_in_their_second_and_their_column() -> None:
    """A worker that does not run in a second has a zero in its column."""
    recorder, totals = LoadRecorder(), LoadTotals()
    for second in range(2):
        recorder.record(second + 0.5, "ok", 0.001, 0.001)
    totals.merge(shipped(recorder))
    samples = [a_sample(101.01, 1, 4), a_sample(101.02, 2, 5), a_sample(102.01, 2, 6)]
    rows = timeline_of(totals, samples, 100, [1, 2])
    assert [row.signatures for row in rows] == [9, 6]
    assert [row.cpu for row in rows] == [(0.5, 0.5), (0.0, 0.5)]
    assert rows[0].budget_queue == 4
