"""The mutation suite itself: its patches fit the package, and it judges as it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from linqi_storm.scenarios import SCENARIOS
from mutants.__main__ import SLICE, main
from mutants.catalogue import MUTANTS
from mutants.patching import PatchError, Patches, resolve
from mutants.registry import Mutant
from mutants.runner import judge_control, judge_mutant
from mutants.storms import CONTROLS

ROOT = Path(__file__).parent.parent


def a_mutant(*, killed_by: str = "", survives: str = "") -> Mutant:
    """Return a mutant that changes nothing."""
    return Mutant(
        name="a", says="", storm=(), killed_by=killed_by, survives=survives, put=lambda patch: None
    )


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=lambda mutant: mutant.name)
def test_each_mutant_fits_the_package(mutant: Mutant) -> None:
    """A place that was renamed, or takes other parameters, is found without a storm."""
    patches = Patches()
    mutant.put(patches)
    assert patches.targets


def test_the_suite_is_as_large_as_it_says() -> None:
    """At least 40 mutants, of which at most 3 are known to survive."""
    assert len(MUTANTS) >= 40
    assert sum(bool(mutant.survives) for mutant in MUTANTS.values()) <= 3
    for mutant in MUTANTS.values():
        assert not (mutant.killed_by and mutant.survives), mutant.name
        assert mutant.says.endswith("."), mutant.name
        assert mutant.storm[0] in SCENARIOS, mutant.name
    assert set(SLICE) <= set(MUTANTS)
    assert len(CONTROLS) == 20


def test_a_place_that_is_not_there_is_an_error() -> None:
    """A mutant whose place was renamed is no silent survivor."""
    for target in ("linqi.jose.key:Key.gone", "linqi.jose.gone:Key", "linqi.jose.key:Gone.verify"):
        with pytest.raises(PatchError):
            resolve(target)


def test_other_parameters_are_an_error() -> None:
    """A mutant that fails in the worker would be killed by the wrong invariant."""

    def verify(original: object, self: object, data: bytes) -> bool:
        return True

    with pytest.raises(PatchError, match="signature"):
        Patches()("linqi.jose.key:Key.verify")(verify)


def test_a_patch_marks_that_it_was_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runner knows by the marks that the wrong code ran in a worker."""
    import mutants.runner as place

    monkeypatch.setattr(place, "judge_control", judge_control)  # restores it after the patch
    patches = Patches(tmp_path)

    @patches("mutants.runner:judge_control")
    def replaced(original, failed, *, is_void):  # type: ignore[no-untyped-def]
        return "passed", "a mutant"

    patches.applied()
    assert [path.name.partition("-")[0] for path in tmp_path.iterdir()] == ["applied"]
    assert place.judge_control(["x"], is_void=False) == ("passed", "a mutant")
    assert {path.name.partition("-")[0] for path in tmp_path.iterdir()} == {"applied", "reached"}


def test_a_mutant_is_killed_by_its_own_invariant_only() -> None:
    """Another failure, or none, is not what the list says."""
    mutant = a_mutant(killed_by="b")
    assert judge_mutant(mutant, ["a", "b"]) == ("killed", "b")
    assert judge_mutant(mutant, ["a"])[0] == "UNEXPECTED"
    assert judge_mutant(mutant, [])[0] == "UNEXPECTED"


def test_a_known_survivor_that_is_killed_is_reported() -> None:
    """The list of survivors is kept true."""
    mutant = a_mutant(survives="no invariant sees it")
    assert judge_mutant(mutant, [])[0] == "survives"
    assert judge_mutant(mutant, ["a"])[0] == "UNEXPECTED"


def test_a_control_must_pass() -> None:
    """A failure without a mutant is a false alarm, and a void run says nothing."""
    assert judge_control([], is_void=False)[0] == "passed"
    assert judge_control(["a"], is_void=False)[0] == "UNEXPECTED"
    assert judge_control([], is_void=True)[0] == "ERROR"


def test_an_unknown_name_is_refused() -> None:
    """A typing error runs no empty suite that passes."""
    with pytest.raises(SystemExit, match="no-such-mutant"):
        main(["--only", "no-such-mutant"])


def with_an_unknown_mutant(module: str, marks: Path) -> int:
    """Return the exit code of ``python -m MODULE --help`` under a mutant that does not exist."""
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        env={
            "PYTHONPATH": str(ROOT / "tests" / "mutants" / "site"),
            "LINQI_MUTANT": "no-such-mutant",
            "LINQI_MUTANT_MARKS": str(marks),
        },
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.returncode


def test_a_worker_does_not_start_without_its_mutant(tmp_path: Path) -> None:
    """Python ignores errors of ``sitecustomize``: the worker then ends instead."""
    assert with_an_unknown_mutant("linqi_storm.apps.worker", tmp_path) == 70


def test_other_processes_are_left_as_they_are(tmp_path: Path) -> None:
    """Only server workers are mutated: clients, issuer and runner judge with the real package."""
    assert with_an_unknown_mutant("linqi", tmp_path) == 0
    assert not [*tmp_path.iterdir()]
