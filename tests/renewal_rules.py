"""Renewal rules, played against each other: `make simulations` prints the table of the guide.

Each rule is a policy, so that the code of the middleware decides when a token is due. All rules see
the same visits. A visit after ``exp`` is a forced sign-in, which starts a new session at once.
"""

from __future__ import annotations

import argparse
import heapq
import math
import platform
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

from linqi import Grid, Jitter, Policy, RenewalSettings, Threshold, TokenSpan
from linqi.sessions.renewal import first_span, share_of
from linqi.sessions.storm_factor import peak_window, storm_factor
from simulated import Draw, clicks_and_reads, fullest_window

START = 1_800_000_000.0
LIFETIME, BUFFER, HOUR = 900, 300, 3600.0


@dataclass(frozen=True, slots=True)
class ShortFirst(Grid):
    """The older grid: the first token, too, ends one buffer after its next grid point."""

    def first(self, session: str, now: float, settings: RenewalSettings) -> TokenSpan:
        """Return the time to one buffer after the next grid point."""
        span = Grid.access(self, session, now, settings)
        return TokenSpan(issued_at=math.floor(now), expires_at=span.expires_at)


@dataclass(frozen=True, slots=True)
class Steps(Grid):
    """A successor lives from the last of `steps` points of its period; infinite: from now."""

    steps: float = math.inf

    def successor(
        self, session: str, now: float, expires_at: float, settings: RenewalSettings
    ) -> TokenSpan:
        """Return a whole lifetime from the last step."""
        begun = Grid.access(self, session, now, settings).issued_at
        step = (settings.lifetime - settings.buffer) / self.steps
        start = begun + math.floor((now - begun) / step) * step if step else math.floor(now)
        return TokenSpan(issued_at=start, expires_at=start + settings.lifetime)


@dataclass(frozen=True, slots=True)
class Pausing(Steps):
    """After a pause, which the late ``iat`` of a successor shows, the next step is due already."""

    def due_after(self, session: str, instant: float, settings: RenewalSettings) -> float:
        """Return the next grid point, or the next step if the token was made at a later step."""
        following = Grid.due_after(self, session, instant, settings)
        period = settings.lifetime - settings.buffer
        step = period / self.steps
        into = instant - (following - period)
        is_late = into >= step and into % step == 0
        return instant + step if is_late else following


@dataclass(frozen=True, slots=True)
class Twice(Grid):
    """Two points a period: twice the renewals, and a window of half a period more."""

    def successor(
        self, session: str, now: float, expires_at: float, settings: RenewalSettings
    ) -> TokenSpan:
        """Return a whole lifetime from the last of the points."""
        start = self.due_after(session, now, settings) - self._step(settings)
        return TokenSpan(issued_at=start, expires_at=start + settings.lifetime)

    def due_after(self, session: str, instant: float, settings: RenewalSettings) -> float:
        """Return the next of the points."""
        step = self._step(settings)
        phase = math.floor(share_of(session) * step)
        return phase + step * (math.floor((instant - phase) / step) + 1)

    def _step(self, settings: RenewalSettings) -> float:
        return (settings.lifetime - settings.buffer) / 2


RULES: dict[str, Policy] = {
    "plain": Threshold(),
    "jitter 10 %": Jitter(0.1),
    "grid, first token cut": ShortFirst(),
    "grid": Grid(),
    "grid, 2 steps a period": Steps(2),
    "grid, 4 steps a period": Steps(4),
    "grid, 8 steps a period": Steps(8),
    "grid, successor from now": Steps(),
    "grid, sooner after a pause": Pausing(4),
    "two points a period": Twice(),
}


@dataclass(slots=True)
class Course:
    """What a population went through under one rule."""

    renewals: list[float] = field(default_factory=list)
    """Instants, sorted, in seconds from the first sign-in."""
    forced: list[float] = field(default_factory=list)
    """Instants of forced sign-ins, sorted."""
    unavoidable: int = 0
    """Those after a pause of a lifetime or more, which no rule avoids."""
    straddled: int = 0
    """Renewals for which a second request 0.05 s later would get another successor."""

    def factors(self, sessions: int, begins: float, ends: float, period: float) -> list[float]:
        """Return the storm factor of each cycle: its fullest window over the steady rate."""
        found = []
        for cycle in range(int((ends - begins) / period)):
            low = begins + cycle * period
            inside = [at - low for at in self.renewals if low <= at < low + period]
            window = peak_window(period)
            rate = fullest_window(inside, window) / window
            found.append(storm_factor(rate, sessions, period))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Deploy:
    """Workers that restart one by one into other settings, from `begins` for `takes` seconds."""

    settings: RenewalSettings
    begins: float
    takes: float = 120.0


def settings_of(
    policy: Policy, lifetime: float = LIFETIME, buffer: float = BUFFER
) -> RenewalSettings:
    """Return settings without an end of the session in reach."""
    return RenewalSettings(
        lifetime=lifetime, buffer=buffer, policy=policy, max_session=366 * 86_400
    )


def play(
    settings: RenewalSettings,
    *,
    sessions: int,
    until: float = HOUR,
    spread: float = 5.0,
    gap: Draw = clicks_and_reads,
    seed: int = 1,
    outage: tuple[float, float] = (-1.0, -1.0),
    deploy: Deploy | None = None,
) -> Course:
    """Let `sessions` people visit: all sign in within `spread` seconds.

    A visit during `outage` fails, and is repeated within ten seconds of its end.
    """
    course = Course()
    for number, visits in enumerate(_population(sessions, spread, until, gap, seed, outage)):
        choice = random.Random(-seed * 1_000_003 - number)
        _follow(course, f"{seed} {number}", visits, settings, deploy, choice)
    course.renewals.sort()
    course.forced.sort()
    return course


@lru_cache(2)
def _population(
    sessions: int, spread: float, until: float, gap: Draw, seed: int, outage: tuple[float, float]
) -> list[list[float]]:
    """Return the instants at which each person visits."""
    return [
        list(_visits(random.Random(seed * 1_000_003 + number), spread, until, gap, outage))
        for number in range(sessions)
    ]


def _visits(
    rng: random.Random, spread: float, until: float, gap: Draw, outage: tuple[float, float]
) -> Iterator[float]:
    now = rng.random() * spread
    while now < until:
        yield now
        now += gap(rng)
        if outage[0] <= now < outage[1]:
            now = outage[1] + rng.random() * 10


def _follow(
    course: Course,
    name: str,
    visits: list[float],
    old: RenewalSettings,
    deploy: Deploy | None,
    choice: random.Random,
) -> None:
    """Let one person sign in at the first visit, and again whenever a visit comes too late."""
    logins = 0
    session = f"{name} {logins}"
    span = first_span(session, START + visits[0], old)
    due_at = old.due_at(session, span.issued_at, span.expires_at)
    for before, visit in pairwise(visits):
        now, rule, due = START + visit, old, due_at
        if deploy is not None and choice.random() < (visit - deploy.begins) / deploy.takes:
            rule = deploy.settings
            due = rule.due_at(session, span.issued_at, span.expires_at)
        if now <= due:
            continue
        if now >= span.expires_at:
            course.forced.append(visit)
            course.unavoidable += visit - before >= rule.lifetime
            logins += 1
            session = f"{name} {logins}"
            span = first_span(session, now, rule)
        else:
            course.renewals.append(visit)
            made = _successor(session, now, span, rule)
            course.straddled += made != _successor(session, now + 0.05, span, rule)
            span = made
        due_at = old.due_at(session, span.issued_at, span.expires_at)


def _successor(session: str, now: float, old: TokenSpan, rule: RenewalSettings) -> TokenSpan:
    made = rule.policy.successor(session, now, old.expires_at, rule)
    return TokenSpan(issued_at=max(made.issued_at, old.issued_at), expires_at=made.expires_at)


def play_judges(
    first: Callable[[str, float, RenewalSettings], TokenSpan],
    *,
    clients: int,
    until: float = HOUR,
    spread: float = 5.0,
    seed: int = 1,
) -> Course:
    """Let clients refresh by a timer, one buffer before their token's ``exp``, within a second.

    Refreshed tokens are locked to the grid. `first` makes the token of the sign-in.
    """
    rng = random.Random(seed)
    settings = settings_of(Grid())
    course = Course()
    heap: list[tuple[float, str]] = []
    for number in range(clients):
        session, now = f"{seed} {number}", rng.random() * spread
        exp = first(session, START + now, settings).expires_at
        heap.append((exp - START - BUFFER + rng.random(), session))
    heapq.heapify(heap)
    while heap and heap[0][0] < until:
        now, session = heapq.heappop(heap)
        course.renewals.append(now)
        exp = settings.policy.access(session, START + now, settings).expires_at
        heapq.heappush(heap, (exp - START - BUFFER + rng.random(), session))
    return course


def _row(name: str, course: Course, *more: object) -> str:
    cells = " ".join(f"{value:>12}" for value in more)
    return f"{name:<42} {len(course.forced):>6} {len(course.renewals):>8} {cells}"


def _factors(course: Course, sessions: int, begins: float, ends: float, period: float) -> str:
    found = course.factors(sessions, begins, ends, period)
    return " ".join(f"{value:.2f}" for value in found[:4])


def _compare_rules(sessions: int, seeds: int) -> None:
    period = LIFETIME - BUFFER
    print(
        f"forced sign-ins and renewals of {sessions} sessions in one hour, {seeds} seeds added up"
    )
    print(f"{'rule':<42} {'forced':>6} {'renewals':>8} {'straddled':>12} {'factors':>12}")
    for name, policy in RULES.items():
        courses = [
            play(settings_of(policy), sessions=sessions, seed=seed) for seed in range(1, seeds + 1)
        ]
        total = Course()
        for course in courses:
            total.forced += course.forced
            total.renewals += course.renewals
            total.straddled += course.straddled
            total.unavoidable += course.unavoidable
        print(
            _row(name, total, total.straddled, _factors(courses[0], sessions, 0, HOUR, period)),
            flush=True,
        )
    print(f"{'(pauses of a lifetime or more)':<42} {total.unavoidable:>6}")


def _compare_buffers(sessions: int) -> None:
    print("\nother buffers on the grid; then forced with plain, and with the first token cut")
    for buffer in (60, 120, 180, 240, 300, 360, 400, 440):
        course = play(settings_of(Grid(), buffer=buffer), sessions=sessions)
        plain = play(settings_of(Threshold(), buffer=buffer), sessions=sessions)
        cut = play(settings_of(ShortFirst(), buffer=buffer), sessions=sessions)
        print(_row(f"buffer {buffer} s", course, len(plain.forced), len(cut.forced)), flush=True)


def _after_an_outage(sessions: int) -> None:
    begins, ends = 1800.0, 1980.0
    period = LIFETIME - BUFFER
    print("\nan outage of 180 s, after sign-ins over one period: peak after it, then each cycle")
    for name in ("plain", "grid, first token cut", "grid", "grid, 8 steps a period"):
        course = play(
            settings_of(RULES[name]),
            sessions=sessions,
            spread=period,
            outage=(begins, ends),
            until=HOUR + 1800,
        )
        print(_row(name, course, _factors(course, sessions, ends, HOUR + 1800, period)), flush=True)


def _after_a_deploy(sessions: int) -> None:
    plain, grid = settings_of(Threshold()), settings_of(Grid())
    moves = {
        "grid, nothing changes": (grid, grid),
        "plain to grid": (plain, grid),
        "first token cut to grid": (settings_of(ShortFirst()), grid),
        "grid, buffer 300 to 240": (grid, settings_of(Grid(), buffer=240)),
        "grid, buffer 300 to 400": (grid, settings_of(Grid(), buffer=400)),
        "grid, 900/300 to 1800/600": (grid, settings_of(Grid(), 1800, 600)),
        "grid, 1800/600 to 900/300": (settings_of(Grid(), 1800, 600), grid),
    }
    print("\na rolling restart of 120 s into other settings: from its beginning, each cycle")
    for name, (old, new) in moves.items():
        course = play(
            old,
            sessions=sessions,
            spread=600,
            until=2 * HOUR,
            deploy=Deploy(settings=new, begins=2400),
        )
        period = new.lifetime - new.buffer
        print(_row(name, course, _factors(course, sessions, 2400, 2 * HOUR, period)), flush=True)


def _judges(clients: int) -> None:
    print("\nclients that refresh one buffer before exp: each cycle from the first renewal on")
    ways = {
        "first token locked to the grid (dual)": Grid().access,
        "first token of the whole lifetime": Grid().first,
    }
    for name, first in ways.items():
        course = play_judges(first, clients=clients)
        print(_row(name, course, _factors(course, clients, 0, HOUR, LIFETIME - BUFFER)), flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=6000)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    print(f"{platform.machine()}, Python {platform.python_version()}")
    _compare_rules(options.sessions, options.seeds)
    _compare_buffers(options.sessions)
    _after_an_outage(options.sessions)
    _after_a_deploy(options.sessions)
    _judges(options.sessions)


if __name__ == "__main__":
    main()
