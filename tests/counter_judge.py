"""Judges a recorded history by the rule of refresh tokens alone, without the code under test.

For each session it looks for an order of the requests that agrees with real time and in which every
answer is what the rule gives (Wing and Gong, 1993). A request without an answer, or with a 503, may
have been executed until the limit of its store call, or not at all. Where no order exists, the
shortest part of the history that has none is reported.

    PYTHONPATH=tests python -m counter_judge HISTORY.jsonl...

It imports nothing of linqi: the rule is stated here a second time.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

ANSWERED: Final = (200, 204, 400, 401)
MOST_STATES: Final = 200_000
"""States that are looked at for one session; beyond them it is not judged, which is a fault."""
MOST_ALIKE: Final = 3
"""How often a token that was presented again and again without an answer may have been redeemed:
once, and once more after each loss of a write."""
SLACK: Final = 1.0
"""Seconds by which a request may take longer to reach the store than its store call may take."""
KINDS: Final = {"login", "refresh", "logout", "logout-all", "access"}


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a history says of the rule, durations in seconds."""

    grace: float = 10.0
    recover_seconds: float = 86_400.0
    ahead: int = 2
    """By how many numbers a token may be ahead of the store and is taken over."""
    bound: float = math.inf
    """How long after an acknowledged end an access token may still be accepted."""
    limit: float = math.inf
    """How long a call of the store may take."""
    may_forget: bool = False
    """Whether the store may lose acknowledged sign-ins and rotations."""
    may_revive: bool = False
    """Whether it may lose acknowledged revocations."""
    lag: float = math.inf
    """The longest time between the first and the last write that one loss takes."""


class Request(NamedTuple):
    """One line of a history."""

    kind: str
    client: str
    session: str
    subject: str
    began: float
    ended: float
    status: int
    outcome: str
    presented: int
    given: int

    def __str__(self) -> str:
        return (
            f"{self.client} {self.kind} {self.began:.3f}-{self.ended:.3f} presented"
            f" {self.presented}: {self.status} {self.outcome or '-'} given {self.given}"
        )


class Span(NamedTuple):
    """The earliest and the latest time of an event that happened in between."""

    first: float
    last: float

    def age(self, now: Span) -> Span:
        """Return the least and the greatest age at `now`."""
        return Span(max(0.0, now.first - self.last), max(0.0, now.last - self.first))


class Row(NamedTuple):
    """A session as the rule sees it."""

    counter: int
    parent: int
    rotated: Span
    parted: Span
    """When the parent was first exchanged for another token."""
    is_revoked: bool = False


class Answer(NamedTuple):
    """An answer that the rule allows, and the row after it."""

    outcome: str
    given: int
    row: Row | None


@dataclass(kw_only=True)
class Verdict:
    """What was judged, and what may not be."""

    faults: list[str] = field(default_factory=list)
    sessions: int = 0
    operations: int = 0
    skipped: int = 0
    """Sessions whose sign-in is not in the history: nothing is known of their first row."""
    forgotten: int = 0
    """Losses of writes without which there is no order; more than 0 only if they may occur."""
    seconds: float = 0.0
    """How long it took."""


def answers(row: Row | None, presented: int, now: Span, rules: Rules) -> Iterator[Answer]:
    """Yield every answer that the rule allows to token `presented`, at an unknown time in `now`."""
    if row is None or row.is_revoked:
        yield Answer("unknown" if row is None else "revoked", -1, row)
        return
    ended = row._replace(is_revoked=True)
    ahead = presented - row.counter
    if ahead == 0:
        yield Answer("rotated", presented + 1, Row(presented + 1, presented, now, now))
    elif 0 < ahead <= rules.ahead:
        yield Answer("recovered", presented + 1, Row(presented + 1, presented, now, now))
    elif presented == row.parent:
        since, parted = row.rotated.age(now), row.parted.age(now)
        longest = max(rules.grace, rules.recover_seconds)
        if since.first <= rules.grace and parted.first <= longest:
            yield Answer("replayed", row.counter, row)
        if since.last > rules.grace and parted.first <= rules.recover_seconds:
            after = Row(row.counter + 1, presented, now, row.parted)
            yield Answer("recovered", row.counter + 1, after)
        if parted.last > longest or (
            since.last > rules.grace and parted.last > rules.recover_seconds
        ):
            yield Answer("reused", -1, ended)
    else:
        yield Answer("reused", -1, ended)


class _Step(NamedTuple):
    """A node of the search: what is done, the row after it, and the rows before."""

    done: int
    row: Row | None
    since: float
    """No later request can have been executed before this."""
    past: tuple[Row | None, ...]
    forgotten: int


class _Candidate(NamedTuple):
    """A request that was executed, or perhaps was."""

    request: Request
    is_open: bool
    """Whether it has no answer that says what it did."""
    latest: float
    """When it was executed at the latest."""


class _Session:
    """The requests of one session, and the search for their order."""

    def __init__(self, requests: Sequence[Request], rules: Rules) -> None:
        self.requests = sorted(requests, key=lambda one: one.began)
        self.rules = rules

    def explained(self, until: float = math.inf) -> int | None:
        """Return how many losses explain what was answered by `until`; None if nothing does."""
        requests = self._candidates(until)
        wanted = sum(1 << n for n, one in enumerate(requests) if not one.is_open)
        first = _Step(0, None, -math.inf, (), 0)
        seen, stack = {first[:2]}, [first]
        while stack:
            step = stack.pop()
            if step.done & wanted == wanted:
                return step.forgotten
            if len(seen) > MOST_STATES:
                raise OverflowError
            # The likeliest is tried first: it is put last.
            following = [*self._following(step, requests)]
            for after in sorted(following, key=lambda one: -one.forgotten):
                after = _without_late(after, requests)
                key = (after.done, after.row, after.past) if self.rules.may_forget else after[:2]
                if key not in seen:
                    seen.add(key)  # type: ignore[arg-type]
                    stack.append(after)
        return None

    def _candidates(self, until: float) -> list[_Candidate]:
        """Return what was done by `until`, in the order of the beginnings.

        A client that is answered 503 presents the same token again and again. Such requests, whose
        times overlap, are as good as a few that may be executed at any of these times: each order
        of them would be tried otherwise.
        """
        found = []
        waiting: defaultdict[tuple[str, int], list[list[Request]]] = defaultdict(list)
        for one in self.requests:
            if one.began > until:
                break
            if one.status in ANSWERED and one.ended <= until:
                found.append(_Candidate(one, False, one.ended))
                continue
            groups = waiting[one.kind, one.presented]
            if not groups or one.began > groups[-1][-1].began + self.rules.limit:
                groups.append([])
            groups[-1].append(one)
        for group in (group for groups in waiting.values() for group in groups):
            latest = group[-1].began + self.rules.limit + SLACK
            found += [_Candidate(group[0], True, latest)] * min(len(group), MOST_ALIKE)
        return sorted(found, key=lambda one: one.request.began)

    def _following(self, step: _Step, requests: Sequence[_Candidate]) -> Iterator[_Step]:
        """Yield what may come next."""
        left: dict[_Candidate, int] = {}  # of those that are alike, the first
        must_end = math.inf
        for n in range(_first_left(step.done), len(requests)):
            one = requests[n]
            if one.request.began > must_end:
                break
            if not step.done >> n & 1:
                left.setdefault(one, n)
                must_end = must_end if one.is_open else min(must_end, one.latest)
        times = {}
        for one, n in left.items():
            now = Span(max(step.since, one.request.began), min(one.latest, must_end))
            if now.first <= now.last:
                times[n] = now
        # The oldest answered request, if it changes nothing, may come first: whatever changes the
        # row would give it another answer, so no other order is lost. Without this, parallel tabs
        # would be tried in every order.
        oldest = next((n for n in times if not requests[n].is_open), None)
        if oldest is not None and step.row in self._executed(
            requests[oldest].request, step.row, times[oldest], is_open=False
        ):
            answered = requests[oldest].request
            # A sign-out that is refused says nothing of the row, so it delays nothing either: what
            # has no answer may still have been executed before it.
            is_mute = answered.kind != "refresh" and answered.status in (400, 401)
            since = step.since if is_mute else times[oldest].first
            yield step._replace(done=step.done | 1 << oldest, since=since)
            return
        # Last what is likeliest: that requests without an answer were not executed.
        for n in sorted(times, key=lambda n: (not requests[n].is_open, -n)):
            one, now = requests[n], times[n]
            for row, past, lost in self._rows(step):
                for after in self._executed(one.request, row, now, is_open=one.is_open):
                    changed = past if after == row else (*past, row)
                    yield _Step(
                        step.done | 1 << n,
                        after,
                        now.first,
                        changed if self.rules.may_forget else (),
                        step.forgotten + lost,
                    )

    def _rows(self, step: _Step) -> Iterator[tuple[Row | None, tuple[Row | None, ...], int]]:
        """Yield the rows that the store may have: that of the last write, or an earlier one."""
        yield step.row, step.past, 0
        if not self.rules.may_forget:
            return
        last = step.row
        for n in range(len(step.past) - 1, -1, -1):
            lost = [*step.past[n + 1 :], last]
            if not self.rules.may_revive and any(row and row.is_revoked for row in lost):
                return
            written = [row.rotated for row in lost if row is not None]
            if written and written[-1].first - written[0].last > self.rules.lag:
                return
            yield step.past[n], step.past[:n], 1

    def _executed(
        self, one: Request, row: Row | None, now: Span, *, is_open: bool
    ) -> Iterator[Row | None]:
        """Yield the rows after `one` was executed on `row` in `now` and got its answer."""
        if one.kind == "login":
            if row is None and (is_open or one.given == 0):
                yield Row(0, -1, now, now)
        elif one.kind != "refresh":
            # A sign-out of a session that the store does not have is answered all the same.
            is_refused = one.status in (400, 401)
            yield row if row is None or is_refused else row._replace(is_revoked=True)
        else:
            for answer in answers(row, one.presented, now, self.rules):
                is_ahead = row is not None and one.presented > row.counter
                if is_ahead and answer.given >= 0 and not self.rules.may_forget:
                    continue  # no one can have a token that the store did not give
                if answer.row != row if is_open else _is_answer(one, answer):
                    yield answer.row

    def judge(self, verdict: Verdict) -> None:
        """Add the losses, or the shortest part that has no order, to `verdict`."""
        name = self.requests[0].session
        try:
            losses = self.explained()
            if losses is not None:
                verdict.forgotten += losses
                return
            ends = sorted({one.ended for one in self.requests})
            low, high = 0, len(ends) - 1
            while low < high:
                middle = (low + high) // 2
                if self.explained(ends[middle]) is None:
                    high = middle
                else:
                    low = middle + 1
        except OverflowError:
            verdict.faults.append(f"session {name}: not judged, more than {MOST_STATES} states")
            return
        known = [one for one in self.requests if one.ended <= ends[low]]
        known.sort(key=lambda one: one.ended)
        shown = "\n    ".join(str(one) for one in known[-6:])
        verdict.faults.append(f"session {name}: no order explains the last of\n    {shown}")


def _without_late(step: _Step, requests: Sequence[_Candidate]) -> _Step:
    """Count as done what can no longer be executed, so that equal states are equal."""
    done = step.done
    for n in range(_first_left(done), len(requests)):
        if requests[n].request.began >= step.since:
            break
        if requests[n].is_open and requests[n].latest < step.since:
            done |= 1 << n
    return step._replace(done=done)


def _first_left(done: int) -> int:
    """Return the place of the lowest bit that is not set."""
    return (~done & done + 1).bit_length() - 1


def _is_answer(one: Request, answer: Answer) -> bool:
    if one.status in (400, 401):
        return answer.given < 0 and one.outcome in ("", answer.outcome)
    return one.status == 200 and (one.outcome, one.given) == answer[:2]


def _accesses(session: Sequence[Request], rules: Rules) -> Iterator[str]:
    """Yield the accesses that were accepted longer than the bound after an acknowledged end."""
    if rules.may_revive:
        return
    over = min((one.ended for one in session if _is_end(one)), default=math.inf)
    for one in session:
        if one.kind == "access" and one.status == 200 and one.began > over + rules.bound:
            yield f"session {one.session}: I2, {one.began - over:.3f} s after its end: {one}"


def _is_end(one: Request) -> bool:
    """Return whether the answer says that the session is over."""
    if one.kind == "refresh":
        return one.status == 400 and one.outcome == "reused"
    return one.kind.startswith("logout") and one.status in (200, 204)


def _by_session(requests: Sequence[Request]) -> dict[str, list[Request]]:
    """Return the requests of each session, with the sign-outs of its whole subject."""
    found: defaultdict[str, list[Request]] = defaultdict(list)
    of_subject: defaultdict[str, set[str]] = defaultdict(set)
    for one in requests:
        is_forged = one.kind == "refresh" and one.presented < 0
        if one.session and one.kind != "logout-all" and not is_forged:
            found[one.session].append(one)
            if one.kind == "login" and one.subject:
                of_subject[one.subject].add(one.session)
    for one in requests:
        if one.kind == "logout-all":
            for name in of_subject[one.subject]:
                began = min(own.began for own in found[name])
                ended = min(own.ended for own in found[name] if own.kind == "login")
                if one.ended >= began:
                    # At the same time as the sign-in: it may have missed the session.
                    sure = one.status if one.began >= ended else 0
                    found[name].append(one._replace(session=name, status=sure))
    return found


def judge(lines: Iterable[str | bytes]) -> Verdict:
    """Judge a history.

    Args:
        lines: JSON objects: first what the rule allows, then one for each request.

    Raises:
        ValueError: A line is not of this form.

    """
    began = time.perf_counter()
    header, *rest = [_object(number, line) for number, line in enumerate(lines, 1)]
    rules = Rules(**{name: header[name] for name in Rules.__annotations__ if name in header})
    requests = [_request(number, line) for number, line in enumerate(rest, 2)]
    verdict = Verdict(operations=len(requests))
    for one in requests:
        if one.status not in (0, 503, *ANSWERED):
            verdict.faults.append(f"session {one.session}: I5, {one}")
    for session in _by_session(requests).values():
        if not any(one.kind == "login" for one in session):
            verdict.skipped += 1
            continue
        verdict.sessions += 1
        counted = [one for one in session if one.kind != "access"]
        _Session(counted, rules).judge(verdict)
        verdict.faults += _accesses(session, rules)
    verdict.seconds = time.perf_counter() - began
    return verdict


def judge_file(path: Path) -> Verdict:
    """Judge the history in a file; raises `ValueError` and `OSError`."""
    with path.open("rb") as file:
        return judge(file)


def _object(number: int, line: str | bytes) -> Mapping[str, Any]:
    found = json.loads(line)
    if not isinstance(found, dict):
        raise ValueError(f"line {number} is no object")
    return found


def _request(number: int, line: Mapping[str, Any]) -> Request:
    empty = {"session": "", "subject": "", "outcome": "", "presented": -1, "given": -1}
    try:
        one = Request(**{name: {**empty, **line}[name] for name in Request._fields})
    except KeyError as error:
        raise ValueError(f"line {number} lacks {error}") from None
    if one.kind not in KINDS or one.began > one.ended:
        raise ValueError(f"line {number}: kind {one.kind!r}, {one.began} to {one.ended}")
    return one


def main(paths: Sequence[str]) -> int:
    """Judge files; return 0 if there is no fault, 1 if there is, 2 if one cannot be read."""
    worst = 0
    for path in paths:
        try:
            verdict = judge_file(Path(path))
        except (OSError, ValueError) as error:
            print(f"{path}: cannot be read: {error}")
            worst = 2
            continue
        print(
            f"{path}: {len(verdict.faults)} faults, {verdict.operations} requests of"
            f" {verdict.sessions} sessions ({verdict.skipped} skipped), {verdict.forgotten} losses"
            f" of writes, {verdict.seconds:.2f} s"
        )
        for fault in verdict.faults:
            print(f"  {fault}")
        worst = max(worst, 1 if verdict.faults else 0)
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
