"""The client's judge, by the test vectors that every implementation passes."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linqi import ConfigurationError
from linqi.client.judge import JudgeSettings, hold, judge, seconds_left

TABLE = json.loads((Path(__file__).parent / "vectors" / "judge.json").read_text())
CASES = TABLE["cases"]
WALL = 1_800_000_000.0


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_table_holds(case: dict[str, Any]) -> None:
    """Each case by its name: verdict, and seconds left."""
    token, received, now = case["token"], case["received"], case["now"]
    held = hold(
        issued_at=token["iat"],
        expires_at=token["exp"],
        settings=JudgeSettings(**case["settings"]),
        **received,
    )
    assert judge(held, now["wall"], now["monotonic"]) == case["expect"]["verdict"]
    assert seconds_left(held, now["wall"], now["monotonic"]) == pytest.approx(
        case["expect"]["left"], abs=1e-6
    )


def test_the_names_of_the_table_are_distinct() -> None:
    """A case is found by its name."""
    assert len({case["name"] for case in CASES}) == len(CASES) > 25


@given(
    life=st.floats(1, 86_400),
    refresh_in=st.none() | st.floats(-10, 90_000),
    offset=st.floats(-1e6, 1e6),
    has_date=st.booleans(),
    chance=st.floats(0, 1),
    pauses=st.lists(st.floats(0, 5000), max_size=12),
)
def test_a_token_only_ages(
    life: float,
    refresh_in: float | None,
    offset: float,
    has_date: bool,
    chance: float,
    pauses: list[float],
) -> None:
    """For any clocks: fresh, advisory, mandatory, expired follow in this order, and never back."""
    wall = WALL + (offset if has_date else min(0.0, offset))
    held = hold(
        issued_at=WALL,
        expires_at=WALL + life,
        wall=wall,
        monotonic=5.0,
        date=WALL if has_date else None,
        refresh_in=refresh_in,
        chance=chance,
        settings=JudgeSettings(),
    )
    assert 0 <= held.mandatory <= held.advisory <= max(held.life, 0)
    order = ["fresh", "advisory", "mandatory", "expired"]
    seen, passed = [], 0.0
    for pause in pauses:
        passed += pause
        seen.append(order.index(judge(held, wall + passed, 5.0 + passed)))
    assert seen == sorted(seen)


@given(jump=st.floats(-1e7, 1e7))
def test_a_wall_clock_that_jumps_never_lengthens_a_life(jump: float) -> None:
    """Set back or ahead: the life is at most that by the monotonic clock."""
    held = hold(
        issued_at=WALL, expires_at=WALL + 900, wall=WALL, monotonic=0.0, settings=JudgeSettings()
    )
    assert seconds_left(held, WALL + 100 + jump, 100.0) <= 800


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("advisory", value) for value in (-1, float("nan"), "300")),
        *(("mandatory", value) for value in (301, True)),
        *(("share", value) for value in (0, 1)),
        ("jitter", 0.6),
    ],
)
def test_every_judge_setting_has_bounds(name: str, value: Any) -> None:
    """A fault is found at construction."""
    with pytest.raises(ConfigurationError):
        JudgeSettings(**{name: value})
