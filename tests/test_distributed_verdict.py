"""The verdict on a recorded history can fail: each rule is broken once."""

from pathlib import Path
from typing import Any

import pytest

from counter_judge import judge_file
from distributed.history import Header, Operation, read, write
from distributed.verdict import Verdict, verdict_of

NAMES = ("kind", "client", "began", "status", "outcome", "presented", "given")
SIGN_IN = ("login", "honest-1", 0, 200, "started", -1, 0)
TURN = ("refresh", "honest-1", 1, 200, "rotated", 0, 1)
SIGN_OUT = ("logout", "honest-1", 2, 204, "", 1, -1)


def judged(path: Path, *lines: tuple[Any, ...], **header: Any) -> tuple[Verdict, list[str]]:
    """Return the harness's verdict, and the faults that the other judge finds in the file."""
    made = [dict(zip(NAMES, line, strict=True)) for line in lines]
    operations = [
        Operation(**one, ended=one["began"] + 0.1, worker=0, session="s", subject="u", token="t")
        for one in made
    ]
    about = Header(scenario="s", engine="e", bound=1, **header)
    write(path, about, operations)
    return verdict_of(read(path)), judge_file(path).faults


def test_what_is_allowed_has_no_fault(tmp_path: Path) -> None:
    """An access within the bound, and refusals after the end."""
    found, other = judged(
        tmp_path / "h",
        SIGN_IN,
        TURN,
        SIGN_OUT,
        ("access", "honest-1", 2.5, 200, "", 1, -1),
        ("access", "honest-1", 4, 401, "", 1, -1),
        ("refresh", "honest-1", 4, 400, "", 1, -1),
    )
    assert found.faults == ()
    assert other == []
    assert found.latest == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ([SIGN_IN, TURN, ("refresh", "honest-1", 2, 400, "", 1, -1)], "I4"),
        ([SIGN_IN, TURN, SIGN_OUT, ("refresh", "honest-1", 3, 200, "rotated", 1, 2)], "I2"),
        ([SIGN_IN, TURN, SIGN_OUT, ("access", "honest-1", 4, 200, "", 1, -1)], "I2"),
        ([SIGN_IN, ("refresh", "honest-1", 1, 500, "", 0, -1)], "I5"),
        (
            [
                SIGN_IN,
                TURN,
                ("refresh", "honest-1", 2, 200, "rotated", 1, 2),
                ("refresh", "thief", 3, 200, "replayed", 0, 1),
            ],
            "1 of 1 thefts",
        ),
    ],
)
def test_what_is_forbidden_is_found_by_both_judges(
    lines: list[tuple[Any, ...]], fault: str, tmp_path: Path
) -> None:
    """They share no code."""
    found, other = judged(tmp_path / "h", *lines)
    assert [text[: len(fault)] for text in found.faults] == [fault]
    assert other


def test_a_loss_that_is_documented_is_counted_and_no_fault(tmp_path: Path) -> None:
    """A lost refresh signs out, and a sign-out that is lost too only where the header says so."""
    signed_out = [SIGN_IN, TURN, ("refresh", "honest-1", 2, 400, "", 1, -1)]
    found, _ = judged(tmp_path / "h", *signed_out, may_forget=True)
    assert (found.faults, found.lost) == ((), "1 honest sign-outs")
    revived = [SIGN_IN, TURN, SIGN_OUT, ("refresh", "honest-1", 3, 200, "rotated", 1, 2)]
    assert judged(tmp_path / "h", *revived, may_forget=True)[0].faults
    found, _ = judged(tmp_path / "h", *revived, may_forget=True, may_revive=True)
    assert (found.faults, found.lost) == ((), "1 sign-outs undone")
