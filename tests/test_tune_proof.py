"""The proof: its storms, its comparisons, and what it shows."""

from __future__ import annotations

import contextlib
import json
import random
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from linqi.cli import main
from linqi.config.reader import load
from linqi.errors import ConfigurationError
from linqi_storm.scenarios.traffic import parse_gaps, parse_pages
from linqi_storm.schema.result_file import load_run, save_run
from linqi_storm.schema.results import Check, StormRun
from linqi_tune.evidence.storm_result import storm_measurements
from linqi_tune.model.gaps import GapDistribution
from linqi_tune.model.measurements import CurrentSettings, Measurements, Targets, Visitors
from linqi_tune.model.options import advise
from linqi_tune.model.plans import SettingsPlan
from linqi_tune.proof.proof import Proof, prove
from linqi_tune.proof.proof_tables import proof_as_json, proof_section, show_proof
from linqi_tune.proof.trial import Trial, TrialLoad, VoidStorm, load_of_storm, load_of_visitors

STORMS = Path(__file__).parent / "storms"
PLAIN = SettingsPlan(
    lifetime=900,
    buffer=300,
    policy="plain",
    algorithm="RS256",
    workers=2,
    cache_entries=10_000 * 60,
    cache_lifetime=60 * 60,
)
DUAL = SettingsPlan(lifetime=900, buffer=120, workers=2, cache_entries=36_000, cache_lifetime=600)
GRID = replace(PLAIN, policy="grid", budget=40.0)
LOAD = TrialLoad(sessions=200, compression=60, law="exponential", mean_gap=60)


def stormed(name: str, **changes: Any) -> StormRun:
    """Return a recorded storm with the changes of a test."""
    return replace(load_run(STORMS / f"{name}.json"), **changes)


class FakeStorms:
    """Returns the recorded storm of a policy in place of running one."""

    def __init__(self, **changes: Any) -> None:
        self.orders: list[Any] = []
        self._changes = changes

    def __call__(self, order: Any, progress: Any) -> StormRun:
        """Return the run."""
        self.orders.append(order)
        name = {"storm-dual": "dual", "tabs": "dual-tabs"}.get(order.scenario, order.policy)
        return stormed(name, **self._changes)


@contextlib.contextmanager
def silent(name: str, seconds: float) -> Iterator[Any]:
    """Show no progress."""
    yield lambda *_: None


def trial(tmp_path: Path, storms: FakeStorms, load: TrialLoad = LOAD, text: str = "") -> Trial:
    """Return a trial without servers."""
    return Trial(load, None, text, tmp_path, silent, storms)


@pytest.fixture
def measurements() -> Measurements:
    """Return the measurements of the recorded plain storm."""
    told = storm_measurements(stormed("plain"), "plain.json")
    return Measurements(visitors=told.visitors, served=told.served, targets=Targets(workers=2))


@pytest.fixture
def proof(tmp_path: Path, measurements: Measurements) -> Proof:
    """Prove the change from plain to grid by the recorded storms."""
    return prove(
        trial(tmp_path, FakeStorms()), measurements, PLAIN, GRID, tuned_on=[1], seeds=[7, 8]
    )


def test_both_sides_are_run_in_turn_with_the_same_fresh_seeds(
    tmp_path: Path, measurements: Measurements
) -> None:
    """Each pair has one seed, and none of the seeds was tuned on."""
    storms = FakeStorms()
    found = prove(trial(tmp_path, storms), measurements, PLAIN, GRID, tuned_on=[1], repeats=3)
    assert [order.policy for order in storms.orders] == ["plain", "grid"] * 3
    seeds = [order.load.seed for order in storms.orders]
    assert seeds[::2] == seeds[1::2] == list(found.seeds)
    assert len(set(found.seeds)) == 3
    assert 1 not in found.seeds
    assert {order.load.duration for order in storms.orders} == {20.0}


def test_predicted_stands_beside_measured_with_the_tuners_error(proof: Proof) -> None:
    """Both sides have every figure, each with its criterion."""
    for side in (proof.before, proof.after):
        names = [line.what for line in side.figures]
        assert names == [
            "storm factor",
            "forced sign-ins",
            "signed out though they asked",
            "cache hits",
            "processor per request",
            "p99 in the expiry window",
            "p99 outside it",
        ]
        for line in side.figures[:5]:
            assert line.measured is not None
            assert line.predicted is not None
            assert line.rule
    factor = proof.before.figure("storm factor")
    run = stormed("plain")
    assert factor.measured == pytest.approx(run.peaks[0].factor)
    assert factor.predicted == pytest.approx(factor.measured, rel=0.15)
    assert factor.holds
    assert factor.error == pytest.approx((factor.predicted or 0) / run.peaks[0].factor - 1)
    assert proof.after.figure("storm factor").predicted == pytest.approx(
        proof.after.figure("storm factor").measured, rel=0.25
    )


def test_a_wrong_prediction_is_shown_as_off(tmp_path: Path, measurements: Measurements) -> None:
    """With measurements of other traffic the proof fails, and shows in which figures."""
    assert measurements.visitors is not None
    slow = replace(
        measurements,
        visitors=replace(measurements.visitors, groups=[GapDistribution([20.0, 2_000.0])]),
    )
    found = prove(trial(tmp_path, FakeStorms()), slow, PLAIN, GRID, tuned_on=[1], seeds=[7])
    assert not found.holds
    assert found.before.figure("forced sign-ins").holds is False
    assert found.before.figure("storm factor").holds is False


def test_no_sign_in_seen_shows_no_more_than_three_in_n(proof: Proof) -> None:
    """The text states what the number of tokens can show."""
    none = replace(proof, after=replace(proof.after, sign_ins=0, cycles=300, sessions=150))
    assert "None in 300 tokens shows fewer than 19.9 per 1,000 sessions (3/n" in none.shows
    some = replace(proof, after=replace(proof.after, sign_ins=3, cycles=300))
    assert "3/n" not in some.shows
    assert "sign-ins were forced" in some.shows


def test_a_run_is_compared_with_a_day_of_use(proof: Proof) -> None:
    """A run of 20 s that is compressed 60 times stands for 20 minutes, 1/18 of 6 hours."""
    assert "20 minutes of use by every session; a day of 6 hours is 18 times" in proof.conversion


def test_every_cause_of_a_sign_in_counts(measurements: Measurements, tmp_path: Path) -> None:
    """Expired tokens, refused ones and lost replies are forced sign-ins alike."""
    counts = replace(stormed("plain").sessions, lapsed=5, forced_out=3, by_lost_reply=2)
    storms = FakeStorms(sessions=counts)
    found = prove(trial(tmp_path, storms), measurements, PLAIN, GRID, tuned_on=[1], seeds=[7])
    assert found.before.sign_ins == 10
    figure = found.before.figure("forced sign-ins")
    assert figure.measured == pytest.approx(10 / counts.total * 1_000)
    assert figure.unit == "per 1,000 sessions"


def test_a_void_storm_proves_nothing(tmp_path: Path, measurements: Measurements) -> None:
    """If the generator does not keep up in three runs, the proof ends."""
    run = load_run(STORMS / "plain.json")
    void = replace(run.generator, is_valid=False, faults=("late",))

    class Void(FakeStorms):
        def __call__(self, order: Any, progress: Any) -> StormRun:
            self.orders.append(order)
            return replace(run, generator=void)

    storms = Void()
    with pytest.raises(VoidStorm, match="late"):
        prove(trial(tmp_path, storms), measurements, PLAIN, GRID, tuned_on=[], seeds=[7])
    assert len(storms.orders) == 3


def test_a_void_storm_in_which_safety_broke_is_not_repeated(
    tmp_path: Path, measurements: Measurements
) -> None:
    """A later run in which it did not happen would not undo what was accepted."""
    run = load_run(STORMS / "plain.json")
    void = replace(run.generator, is_valid=False, faults=("late",))
    forged = Check(name="forged tokens accepted", kind="safety", limit=0, seen=2, passed=False)

    class Unsafe(FakeStorms):
        def __call__(self, order: Any, progress: Any) -> StormRun:
            self.orders.append(order)
            return replace(run, generator=void, checks=(forged,))

    storms = Unsafe()
    with pytest.raises(VoidStorm, match="forged tokens accepted: 2, and is void: late") as caught:
        prove(trial(tmp_path, storms), measurements, PLAIN, GRID, tuned_on=[], seeds=[7])
    assert caught.value.has_failed
    assert len(storms.orders) == 1


def test_a_run_has_the_plan_and_all_else_of_the_users_file(tmp_path: Path) -> None:
    """The cache is compressed with the sessions; other settings stay."""
    text = "[http]\nsuccessor_header = 'X-Mine'\n[renewal]\ncap_spread = 0.2\nbuffer_seconds = 9\n"
    path = tmp_path / "run.toml"
    path.write_text(trial(tmp_path, FakeStorms(), text=text).text_of(GRID))
    config = load(path)
    assert config.http.successor_header == "X-Mine"
    assert config.renewal.cap_spread == 0.2
    assert config.renewal.buffer_seconds == 300
    assert config.cache.max_entries == 10_000
    assert config.cache.lifetime_seconds == 60
    assert config.budget.renewals_per_second == 20
    assert config.slides


def test_a_storm_gives_the_load_to_repeat(tmp_path: Path) -> None:
    """The load is in real seconds, and the caller's values take precedence."""
    found = load_of_storm(stormed("plain"), sessions=77, workers=None)
    assert found.sessions == 77
    assert found.workers == 2
    assert found.mean_gap == pytest.approx(60)
    assert found.law == "exponential"
    load_setup = stormed("plain").setup
    odd = replace(load_setup, load=replace(load_setup.load, gaps="measured (x.json), mean 1 s"))
    with pytest.raises(ConfigurationError):
        load_of_storm(stormed("plain", setup=odd))


def test_measured_gaps_are_those_of_the_storm(tmp_path: Path) -> None:
    """The gaps are written to a file from which the generators draw."""
    rng = random.Random(5)
    gaps = GapDistribution([rng.expovariate(1 / 50) for _ in range(9_000)] + [700.0] * 1_000)
    visitors = Visitors(groups=[gaps], parallel=[(1.0, 3.0), (5.0, 1.0)])
    found = load_of_visitors(visitors, tmp_path, 900.0)
    assert found.compression == 15
    assert found.mean_gap == pytest.approx(gaps.mean)
    law = parse_gaps(found.law, found.mean_gap / found.compression)
    drawn = GapDistribution([law.draw(rng) * found.compression for _ in range(20_000)])
    assert drawn.mean == pytest.approx(gaps.mean, rel=0.05)
    longer = sum(count for pause, count in drawn.items() if pause > 600)
    assert longer / drawn.total == pytest.approx(0.1, rel=0.1)
    assert "gaps.json" in str(law)
    pages = parse_pages(found.law, has_pages=True)
    assert pages.mean == 2
    assert {pages.draw(rng) for _ in range(200)} == {1, 5}
    assert parse_pages(found.law, has_pages=False).mean == 1
    assert load_of_visitors(None, tmp_path, 30.0).law == "exponential"
    assert load_of_visitors(None, tmp_path, 30.0).compression == 1


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        '{"gaps_seconds": [1], "gap_counts": []}',
        '{"gaps_seconds": [1], "gap_counts": [0]}',
        '{"gaps_seconds": [1], "gap_counts": [1], "parallel": [1], "parallel_counts": []}',
    ],
)
def test_a_file_without_gaps_is_refused(tmp_path: Path, content: str) -> None:
    """The error is raised before any server starts."""
    path = tmp_path / "gaps.json"
    path.write_text(content)
    for law in (f"measured:{path}", f"measured:{path}.none", "measured:", "lunch"):
        with pytest.raises(ConfigurationError):
            parse_gaps(law, 1.0)


BAD_CONFIG = """\
[renewal]
lifetime_seconds = 900
buffer_seconds = 60
policy = "plain"
[cache]
max_entries = 100
[signing]
off_loop = false
[keys]
file = "k.json"
algorithm = "RS256"
"""
DUAL_CONFIG = """\
[store]
url = "valkey://sessions.example:6379/0"
[keys]
file = "k.json"
algorithm = "ES256"
[sessions]
grace_seconds = 0
"""


@pytest.fixture
def dual(tmp_path: Path) -> Proof:
    """Prove a change of dual tokens by recorded storms."""
    told = storm_measurements(stormed("dual"), "dual.json")
    current = CurrentSettings(buffer=120, has_store=True, slides=False)
    known = Measurements(visitors=told.visitors, served=told.served, current=current)
    load = load_of_storm(stormed("dual"))
    assert load.mode == "dual"
    storms = FakeStorms()
    runs = trial(tmp_path, storms, load, DUAL_CONFIG)
    changes = {"sessions": {"grace_seconds": 10}}
    found = prove(runs, known, DUAL, DUAL, tuned_on=[1], seeds=[7], changes=changes)
    assert [order.scenario for order in storms.orders] == ["storm-dual", "tabs"] * 2
    assert storms.orders[1].load.sessions * 4 == storms.orders[0].load.sessions
    return found


def test_refreshed_sessions_are_proved_by_a_rush_and_by_tabs(dual: Proof) -> None:
    """The figures are the refreshes, the storm factor after the rush, and those of tabs."""
    figure = dual.after.figure
    assert figure("refreshes of a session").predicted == pytest.approx(
        figure("refreshes of a session").measured, rel=0.05
    )
    assert figure("storm factor").predicted == pytest.approx(
        figure("storm factor").measured, rel=0.2
    )
    # The rush itself, which no setting levels, would be 20 times the steady rate.
    assert (figure("storm factor").measured or 99) < 3
    assert figure("cache hits").holds
    assert (
        figure("forced sign-ins").measured == figure("signed out by their own tabs").measured == 0
    )
    assert dual.holds
    assert [one.what for one in dual.changes] == ["storm factor, after"]


def test_a_proof_of_refreshed_sessions_says_what_it_does_not_show(dual: Proof) -> None:
    """The text names the storm that shows it."""
    texts = proof_section(dual).body
    for storm in ("lost-replies", "store-outage", "revoke"):
        assert f"linqi storm {storm}" in texts


def test_advice_beside_the_plan_is_run_only_after_the_change(tmp_path: Path, dual: Proof) -> None:
    """A grace is not part of a plan, but it is one of the new settings."""
    assert dual.after.cycles
    assert load(tmp_path / "before-1.toml").sessions.grace_seconds == 0
    after = load(tmp_path / "after-1-tabs.toml")
    assert after.sessions.grace_seconds == 10
    assert after.store.url == "memory:"


def test_a_storm_of_other_sessions_is_not_taken_for_these(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A storm of sliding sessions is refused for dual tokens, with what to do."""
    path = tmp_path / "dual.toml"
    path.write_text(DUAL_CONFIG)
    storm = tmp_path / "storm.json"
    save_run(stormed("plain"), storm)
    arguments = ["--config", str(path), "--storm", str(storm), "--prove", "--dry-run"]
    assert main(["tune", *arguments, "--prove-folder", str(tmp_path / "proof")]) == 2
    assert "leave --storm out" in capsys.readouterr().err


def test_the_proof_is_printed_drawn_and_written_as_json(proof: Proof) -> None:
    """All three renderings have the same figures."""

    class Console:
        def __init__(self) -> None:
            self.said: list[Any] = []

        def print(self, what: Any, **_: Any) -> None:
            self.said.append(what)

    console = Console()
    show_proof(console, proof)
    assert any("seeds 7, 8; tuned on 1" in str(text) for text in console.said)
    told = proof_as_json(proof)
    json.dumps(told, allow_nan=False)
    assert told["seeds"] == [7, 8]
    assert told["before"]["lines"][0]["what"] == "storm factor"
    section = proof_section(proof)
    assert len(section.figures) == 3
    assert "before, predicted" in section.figures[0][1]


@pytest.mark.long  # `make demo` proves as much with other storms
@pytest.mark.timeout(400)  # three storms, each repeated if it is void
def test_the_whole_loop_improves_a_bad_configuration_for_real(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Storm, tune and prove with real servers; a void run is no failure here."""
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "linqi.toml"
    config.write_text(BAD_CONFIG)
    size = ["--compress", "100", "--prove-sessions", "60", "--max-lifetime-seconds", "900"]
    output = ["--config", str(config), "--yes", "--json", "--html", "tune.html"]
    code = main(["tune", "--prove", *size, *output])
    if code == 3:
        assert config.read_text().count("plain") == 1
        return
    assert code == 0
    document = json.loads(capsys.readouterr().out)
    before, after = document["proof"]["before"], document["proof"]["after"]
    assert before["cycles"] > 40
    assert after["cycles"] > 40
    assert after["forced_sign_ins"] < before["forced_sign_ins"]
    factors = [side["lines"][0]["measured"] for side in (before, after)]
    assert factors[1] < factors[0] / 2
    assert set(document["proof"]["seeds"]).isdisjoint(document["proof"]["tuned_on_seeds"])
    raw = tomllib.loads(config.read_text())
    assert raw["renewal"]["policy"] == "grid"
    assert raw["renewal"]["buffer_seconds"] > 60
    assert "Predicted against measured" in (tmp_path / "tune.html").read_text()
    written = {path.name for path in (tmp_path / "linqi-proof").glob("*.json")}
    assert written == {"training.json", "before-1.json", "after-1.json"}


def test_settings_in_force_are_those_that_are_advised_on(measurements: Measurements) -> None:
    """The plan of `before` has the settings in force."""
    assert advise(measurements).plan.buffer == measurements.current.buffer
