"""The harness's own verdict on a history: what honest clients, and a thief, may be answered.

It knows no counters beyond "later than", and no rule of rotation. The other judge knows nothing
else.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from distributed.history import History, Operation

STATUSES = (0, 200, 204, 400, 401, 503)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The counts of a history, and what it has that may not be."""

    operations: int
    acknowledged: int
    """Operations that were answered with success."""
    unavailable: int
    """Those answered 503."""
    unanswered: int
    signed_out: tuple[str, ...]
    """Refusals of honest clients."""
    signed_out_sessions: int
    """Sessions of which that is true."""
    revived: tuple[str, ...]
    """What was accepted after an acknowledged end."""
    undone: int
    """Sessions of which that is true."""
    thefts: int
    caught: int
    forked: tuple[str, ...]
    """Numbers of a session with several tokens."""
    other: tuple[str, ...]
    """Other statuses."""
    latest: float
    """Seconds from an acknowledged end to the last access that was accepted."""
    wait: float
    """The longest time in which an honest client was answered nothing but 503, or nothing."""
    may_forget: bool
    may_revive: bool

    @property
    def lost(self) -> str:
        """What contradicts what had been acknowledged, in words; empty for nothing."""
        counts = {
            "honest sign-outs": self.signed_out_sessions,
            "sign-outs undone": self.undone,
            "thefts not caught": self.thefts - self.caught,
        }
        return ", ".join(f"{count} {name}" for name, count in counts.items() if count)

    @property
    def faults(self) -> tuple[str, ...]:
        """What may not be, after the losses that the engine documents."""
        found = [*self.other]
        if not self.may_revive:
            found += self.revived
        if not self.may_forget:
            found += [*self.signed_out, *self.forked]
            if self.caught < self.thefts:
                found.append(f"{self.thefts - self.caught} of {self.thefts} thefts not caught")
        return tuple(found)


class _Ends:
    """When each session was first tried to be ended, and when that was acknowledged."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self.tried: dict[str, float] = {}
        self.acknowledged: dict[str, float] = {}
        began: defaultdict[str, dict[str, float]] = defaultdict(dict)
        for one in operations:
            if one.kind == "login" and one.status == 200:
                began[one.subject][one.session] = one.ended
            elif one.kind == "logout":
                self._add(one.session, one, is_done=one.status in (200, 204))
            elif one.kind == "logout-all":
                for session, since in began[one.subject].items():
                    if since < one.began:
                        self._add(session, one, is_done=one.status in (200, 204))
            elif one.client == "thief":
                self._add(one.session, one, is_done=one.status == 400)

    def _add(self, session: str, one: Operation, *, is_done: bool) -> None:
        self.tried[session] = min(one.began, self.tried.get(session, math.inf))
        if is_done:
            self.acknowledged[session] = min(one.ended, self.acknowledged.get(session, math.inf))


def verdict_of(history: History) -> Verdict:
    """Judge a history."""
    header, operations = history.header, history.operations
    ends = _Ends(operations)
    signed_out, revived, other = [], [], []
    undone: set[str] = set()
    refused: set[str] = set()
    tokens: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
    latest = 0.0
    for one in operations:
        if one.status not in STATUSES:
            other.append(f"I5: {one}")
        if one.token:
            tokens[one.session, one.given].add(one.token)
        over = ends.acknowledged.get(one.session, math.inf)
        if one.kind == "refresh" and one.status == 200 and one.began > over:
            revived.append(f"I2: {one.began - over:.2f} s after the end: {one}")
            undone.add(one.session)
        if one.kind == "access" and one.status == 200 and one.began > over:
            latest = max(latest, one.began - over)
            if one.began > over + header.bound:
                revived.append(f"I2: {one.began - over:.2f} s after the end: {one}")
                undone.add(one.session)
        is_judged = one.kind == "refresh" or (one.kind == "access" and header.clocks_agree)
        is_kept = one.ended < ends.tried.get(one.session, math.inf)
        if is_judged and is_kept and one.status in (400, 401):
            signed_out.append(f"I4: {one}")
            refused.add(one.session)
    forked = [f"I1: {key} has several tokens" for key, found in tokens.items() if len(found) > 1]
    stolen = [one for one in operations if one.client == "thief" and one.status in (200, 400, 401)]
    counts = Counter(one.status for one in operations)
    return Verdict(
        operations=len(operations),
        acknowledged=counts[200] + counts[204],
        unavailable=counts[503],
        unanswered=counts[0],
        signed_out=tuple(signed_out),
        signed_out_sessions=len(refused),
        revived=tuple(revived),
        undone=len(undone),
        thefts=len(stolen),
        caught=sum(one.status != 200 for one in stolen),
        forked=tuple(forked),
        other=tuple(other),
        latest=latest,
        wait=_longest_wait(operations),
        may_forget=header.may_forget,
        may_revive=header.may_revive,
    )


def _longest_wait(operations: Sequence[Operation]) -> float:
    """Return the longest time from the first of a client's failures to its next success."""
    failing: dict[str, float] = {}
    longest = 0.0
    for one in sorted(operations, key=lambda one: one.ended):
        if not one.client.startswith("honest") or one.kind != "refresh":
            continue
        if one.status in (0, 503):
            failing.setdefault(one.client, one.began)
        elif (since := failing.pop(one.client, None)) is not None:
            longest = max(longest, one.ended - since)
    return longest
