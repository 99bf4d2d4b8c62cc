"""The judge of histories finds each kind of violation, and states the same rule as the code."""

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import counter_judge
from counter_judge import Row, Rules, Span, Verdict, answers, judge
from linqi.sessions.record import SessionRecord
from linqi.sessions.refresh import SessionSettings, decide_rotation, revoked
from test_refresh import START, session


def line(kind: str, began: float, ended: float, status: int = 200, **rest: Any) -> dict[str, Any]:
    """Return one request of a history."""
    return {
        "kind": kind,
        "client": "honest-1",
        "worker": 0,
        "session": "s",
        "subject": "bob",
        "began": began,
        "ended": ended,
        "status": status,
    } | rest


def login(at: float = 0, **rest: Any) -> dict[str, Any]:
    """Return a sign-in that took a tenth of a second."""
    return line("login", at, at + 0.1, outcome="started", given=0, **rest)


def refresh(
    at: float, presented: int, outcome: str = "", given_: int = -1, **rest: Any
) -> dict[str, Any]:
    """Return a refresh; without an outcome it was refused."""
    status = 200 if outcome else 400
    values = {"ended": at + 0.1, "status": status, "presented": presented, "given": given_}
    return line("refresh", at, at + 0.1) | {"outcome": outcome} | values | rest


def verdict(*lines: dict[str, Any], **header: Any) -> Verdict:
    """Judge a history."""
    return judge(json.dumps(one) for one in ({"scenario": "x", "bound": 1.0} | header, *lines))


HONEST = (login(), refresh(1, 0, "rotated", 1), refresh(2, 1, "rotated", 2))
LOST = refresh(3, 2, status=0, ended=8)
"""No answer: it may have rotated."""
UNSURE = refresh(3, 2, status=503)
REUSED = refresh(3, 0, "reused", status=400, client="thief")


@pytest.mark.parametrize(
    "lines",
    [
        HONEST,
        (*HONEST, refresh(3, 1, "replayed", 2)),
        (*HONEST, refresh(13, 1, "recovered", 3), refresh(14, 2), refresh(15, 3)),
        (*HONEST, refresh(12.05, 1, "recovered", 3)),  # the grace may have ended in between
        (*HONEST, LOST, refresh(9, 2, "replayed", 3)),
        (*HONEST, LOST, refresh(9, 2, "rotated", 3)),
        (*HONEST, UNSURE, refresh(3.2, 2, "replayed", 3)),
        (*HONEST, UNSURE, refresh(3.2, 2, "rotated", 3)),
        (*HONEST, line("logout", 3, 4, 204), refresh(5, 2)),
        (*HONEST, line("logout", 3, 9, 503), refresh(5, 2, "rotated", 3)),
        (*HONEST, line("logout", 3, 9, 503), refresh(5, 2)),
        (*HONEST, line("logout-all", 3, 4, 204), refresh(5, 2)),
        (*HONEST, refresh(3, 0, client="thief"), refresh(4, 2)),
        (*HONEST, REUSED, refresh(4, 2, "revoked", status=400)),
        (*HONEST, REUSED, line("access", 4.0, 5, presented=2)),
        (login(), *[refresh(1, 0, "replayed", 1, ended=2) for _ in range(60)], HONEST[1]),
        (*HONEST, line("logout", 3, 4, 204), line("access", 4.9, 5, 200, presented=2)),
    ],
)
def test_what_the_rule_allows_has_no_fault(lines: tuple[dict[str, Any], ...]) -> None:
    """Rotations, replays, recoveries, lost replies, unknown outcomes, sign-outs and thefts."""
    found = verdict(*lines)
    assert found.faults == []
    assert (found.sessions, found.skipped, found.forgotten) == (1, 0, 0)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        # I1: two successors of one parent.
        ((*HONEST, refresh(3, 1, "rotated", 2)), "3.000-3.100 presented 1: 200 rotated given 2"),
        ((login(), refresh(1, 0, "rotated", 1), refresh(1, 0, "rotated", 1)), "no order"),
        # I2: accepted after a sign-out, after reuse, after a sign-out everywhere.
        ((*HONEST, line("logout", 3, 4, 204), refresh(5, 2, "rotated", 3)), "presented 2: 200"),
        ((*HONEST, refresh(3, 0), refresh(4, 2, "rotated", 3)), "presented 2: 200"),
        ((*HONEST, line("logout-all", 3, 4, 200), refresh(5, 2, "rotated", 3)), "presented 2"),
        ((*HONEST, line("logout", 3, 4, 204), line("access", 5.1, 6, presented=2)), "I2, 1.100 s"),
        ((*HONEST, REUSED, line("access", 4.2, 5, presented=2)), "I2, 1.100 s"),
        # I3: the store does not know what was handed out.
        ((*HONEST, refresh(3, 2, "rotated", 3), refresh(4, 2, "rotated", 3)), "presented 2"),
        ((*HONEST, refresh(3, 2, "rotated", 5)), "given 5"),
        ((*HONEST, refresh(3, 4, "recovered", 5)), "presented 4: 200 recovered given 5"),
        # I4: an honest client is signed out.
        ((*HONEST, refresh(3, 2)), "presented 2: 400"),
        ((*HONEST, refresh(3, 1)), "presented 1: 400"),
        ((*HONEST, LOST, refresh(9, 2)), "presented 2: 400"),
        # The age: a replay after the grace, a recovery in it or after its bound.
        ((*HONEST, refresh(13, 1, "replayed", 2)), "replayed"),
        ((*HONEST, refresh(3, 1, "recovered", 3)), "recovered"),
        ((*HONEST, refresh(90_000, 1, "recovered", 3)), "recovered"),
        # A command that was executed after its limit.
        ((*HONEST, UNSURE, refresh(3.2, 2, "rotated", 3), refresh(9, 2)), "9.000-9.100"),
        # Reuse that is not noticed.
        ((*HONEST, refresh(3, 0, "replayed", 2)), "presented 0: 200"),
        # A refusal for another reason.
        ((*HONEST, REUSED, refresh(4, 2, "reused", status=400)), "4.000-4.100"),
        ((*HONEST, refresh(3, 0, "unknown", status=400)), "presented 0: 400 unknown"),
        # I5.
        ((*HONEST, refresh(3, 2, status=500)), "I5"),
    ],
)
def test_each_violation_is_found(lines: tuple[dict[str, Any], ...], said: str) -> None:
    """Each is reported by the request that no order explains, which is the last one shown."""
    found = verdict(*lines, refresh(200_000, 7, status=503), limit=3.0)
    assert len(found.faults) == 1
    assert said in found.faults[0].splitlines()[-1] or said in found.faults[0].splitlines()[0]


def test_a_command_is_executed_within_its_limit_or_never() -> None:
    """An open rotation explains a later replay for as long as its store call may take."""
    late = (*HONEST, UNSURE, refresh(6, 2, "rotated", 3), refresh(7, 2, "replayed", 3))
    assert not verdict(*late, limit=3.0).faults
    late = (*HONEST, UNSURE, refresh(7.2, 2, "replayed", 3, ended=7.3))
    assert not verdict(*late, limit=3.0).faults  # it was executed in time, and answered too late
    odd = (*HONEST, refresh(3, 2, "rotated", 3), line("logout", 3.5, 4, 503))
    sure = (*odd, refresh(8.2, 3, "rotated", 4), refresh(9, 4))
    assert verdict(*sure, limit=3.0).faults
    assert not verdict(*sure).faults  # without a limit the sign-out may come at any time


def test_a_loss_that_may_occur_is_counted_and_one_that_may_not_is_a_fault() -> None:
    """A take-over needs a loss; so do a second rotation of one token and a lost sign-in."""
    ahead = (*HONEST, refresh(3, 2, "recovered", 3), refresh(4, 3, "rotated", 4))
    again = (*HONEST, refresh(3, 1, "rotated", 2), refresh(4, 2, "rotated", 3))
    gone = (*HONEST, refresh(3, 2))
    for lines in (ahead, again, gone):
        assert len(verdict(*lines).faults) == 1
        found = verdict(*lines, may_forget=True)
        assert (found.faults, found.forgotten) == ([], 1)
    assert not verdict(*gone, may_forget=True, lag=2.0).faults
    assert verdict(*gone, may_forget=True, lag=0.5).faults  # it was written 2 s before
    unknown = refresh(3, 2, "unknown", status=400)
    assert not verdict(*HONEST, unknown, line("logout", 4, 5, 204), may_forget=True).faults
    too_far = (*HONEST, refresh(3, 2, "rotated", 3), refresh(4, 3, "recovered", 4))
    assert verdict(*too_far, may_forget=True, ahead=0).faults
    revived = (*HONEST, line("logout", 3, 4, 204), refresh(5, 2, "rotated", 3))
    assert verdict(*revived, may_forget=True).faults
    assert not verdict(*revived, may_forget=True, may_revive=True).faults


def test_a_history_of_another_form_is_refused(tmp_path: Path) -> None:
    """No line passes unread."""
    for odd in ("[]", "{", '{"kind": "refresh"}', json.dumps(line("dance", 0, 1))):
        with pytest.raises(ValueError, match=r"line|Expecting"):
            judge(["{}", odd])
    path = tmp_path / "history.jsonl"
    path.write_text("no json")
    assert counter_judge.main([str(path)]) == 2


def test_the_command_prints_a_line_for_each_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is that of the worst."""
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    header = {"scenario": "x"}
    good.write_text("\n".join(json.dumps(one) for one in (header, *HONEST)))
    bad.write_text("\n".join(json.dumps(one) for one in (header, *HONEST, refresh(3, 2))))
    assert counter_judge.main([str(good)]) == 0
    assert counter_judge.main([str(good), str(bad)]) == 1
    assert "1 faults, 4 requests of 1 sessions" in capsys.readouterr().out


def test_the_judge_imports_nothing_of_what_it_judges() -> None:
    """Its statement of the rule is its own."""
    code = "import sys, counter_judge; print([m for m in sys.modules if m.startswith('linqi')])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_both_statements_of_the_rule_agree(data: st.DataObject) -> None:
    """At an exact time each allows one answer, the same one, with the same row."""
    grace = data.draw(st.sampled_from([0, 10]))
    recover = data.draw(st.sampled_from([0, 5, 300]))
    ahead = data.draw(st.sampled_from([0, 2, 3]))
    theirs = SessionSettings(
        idle=500_000, absolute=900_000, grace=grace, recover_seconds=recover, most_forgotten=ahead
    )
    ours = Rules(grace=grace, recover_seconds=recover, ahead=ahead)
    parent = data.draw(st.integers(-1, 6))
    row = session(
        counter=parent + data.draw(st.integers(1, 3)),
        parent=parent,
        rotated_at=START,
        first_rotated_at=START - data.draw(st.sampled_from([0, 4, 290])),
        expires_at=START + 400_000,
        ends_at=START + 800_000,
    )
    if data.draw(st.booleans()) and data.draw(st.booleans()):
        row = revoked(row, START, "logout")
    now = START + data.draw(st.sampled_from([0, 5, 10, 10.5, 11, 296, 310, 100_000]))
    presented = data.draw(st.integers(0, 12))
    want = decide_rotation(row, presented, now, theirs)
    (got,) = answers(_row(row), presented, Span(now, now), ours)
    assert want.record is not None
    assert got.outcome == want.kind
    assert got.row == _row(want.record)
    is_given = want.kind in ("rotated", "replayed", "recovered")
    assert got.given == (want.record.counter if is_given else -1)


def _row(record: SessionRecord) -> Row:
    rotated = Span(record.rotated_at, record.rotated_at)
    parted = Span(record.first_rotated_at, record.first_rotated_at)
    is_first = record.parent == -1 and not record.counter
    return Row(
        record.counter,
        record.parent,
        rotated,
        rotated if is_first else parted,
        bool(record.revoked_at),
    )


@pytest.mark.parametrize("seed", range(8))
def test_histories_of_the_rule_itself_have_no_fault(seed: int) -> None:
    """Requests in parallel with lost answers, executed by the code's rule: an order is found."""
    chance = random.Random(seed)
    rules = SessionSettings(idle=500_000, absolute=900_000, grace=1, recover_seconds=30)
    row, held, now = session(expires_at=START + 400_000, ends_at=START + 800_000), 0, 0.0
    lines = [login()]
    for _ in range(120):
        now += chance.choice([0.2, 0.5, 2.0])
        batch = []
        for _ in range(chance.choice([1, 1, 3, 6])):
            began, at = now - chance.random() / 10, now + chance.random() / 10
            ended = at + chance.random() / 2
            batch.append((at, began, ended, chance.random() < 0.15))
        for at, began, ended, is_lost in sorted(batch):
            outcome = decide_rotation(row, held, START + at, rules)
            assert outcome.record is not None
            row = outcome.record
            done = refresh(began, held, outcome.kind, row.counter, ended=ended)
            if is_lost:
                done |= {"status": chance.choice([0, 503]), "outcome": "", "given": -1}
            lines.append(done)
        now += 0.7
        held = next((one["given"] for one in lines[:-7:-1] if one["given"] > held), held)
    found = verdict(*lines, grace=1, recover_seconds=30, limit=3)
    assert found.faults == []
    broken = [*lines]
    place = max(n for n, one in enumerate(lines) if one["outcome"] == "rotated")
    broken[place] = lines[place] | {"given": lines[place]["given"] + 1}
    assert len(verdict(*broken, grace=1, recover_seconds=30, limit=3).faults) == 1


@pytest.mark.parametrize("lost", [False, True])
def test_a_token_that_is_presented_again_and_again_is_judged(*, lost: bool) -> None:
    """Its order among forty others without an answer says nothing, and is not searched."""
    again = [refresh(3 + n / 10, 2, status=503) for n in range(40)]
    rest = [refresh(8 + n, 2 + n, "rotated", 3 + n) for n in range(5)]
    if lost:  # the store fell back to its first token
        rest[0] = refresh(8, 2, "recovered", 3)
    found = verdict(*HONEST, *again, *rest, limit=5.0, may_forget=True)
    assert not found.faults
    assert bool(found.forgotten) == lost
    assert verdict(*HONEST, *again, *rest, refresh(20, 1, "rotated", 2), limit=5.0).faults
