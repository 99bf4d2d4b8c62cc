"""What delayed the workers: a busy machine, or calls that block their event loops."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

from linqi_storm.apps.sampler import ServerSample
from linqi_storm.clients.client_session import Tally
from linqi_storm.schema.expectations import REVOCATION_BOUND

__all__ = ["blocked_percent", "overdue_notes", "overdue_of", "stalled_seconds"]

_SAMPLE_SECONDS: Final = 1.0
_LEAST_SAMPLES: Final = 5
_EXAMPLES: Final = 3


def blocked_percent(samples: Sequence[ServerSample]) -> float | None:
    """Return the share of time in which the event loop of the worst worker was blocked.

    Time in which it worked, or waited for a core, does not count: neither a heavy load nor a busy
    machine can cause it. None in very short runs.
    """
    by_worker: defaultdict[int, list[float]] = defaultdict(list)
    for sample in samples:
        by_worker[sample.pid].append(sample.blocked_ms / 1000)
    shares = [sum(seen) / len(seen) for seen in by_worker.values() if len(seen) >= _LEAST_SAMPLES]
    return 100 * min(1.0, max(shares)) if shares else None


def stalled_seconds(samples: Sequence[ServerSample]) -> float:
    """Return the longest delay of a worker's event loop that a busy machine explains."""
    return max((sample.stalled_ms for sample in samples), default=0.0) / 1000


def overdue_of(
    tally: Tally,
    samples: Sequence[ServerSample],
    begins_at: float,
    bound: float = REVOCATION_BOUND,
) -> tuple[Counter[str], Counter[str], list[str]]:
    """Judge the tokens that were accepted past a bound.

    Workers that wait for a core can keep no bound. An acceptance is a violation if it is later
    than the bound by more than the worker that waited longest did since the revocation; otherwise
    it is not counted as checked.

    Returns:
        The violations and the checks to take back, both by rule, and descriptions of violations.

    """
    wrong, unknown, examples = Counter[str](), Counter[str](), []
    for rule, at, late, what in tally.overdue_accepts:
        revoked_at = begins_at + at - late - bound
        if late <= _waited(samples, revoked_at, begins_at + at):
            unknown[rule] += 1
        else:
            wrong[rule] += 1
            examples.append(f"{rule}: {what}")
    return wrong, unknown, examples


def overdue_notes(
    tally: Tally,
    samples: Sequence[ServerSample],
    begins_at: float,
    bound: float = REVOCATION_BOUND,
) -> tuple[str, ...]:
    """Return the first violations of bounds, and how many acceptances say nothing."""
    _, unknown, examples = overdue_of(tally, samples, begins_at, bound)
    left = [
        f"{rule}: {count} more say nothing, because the workers waited for a core for as long"
        for rule, count in unknown.items()
    ]
    return (*examples[:_EXAMPLES], *left)


def _waited(samples: Sequence[ServerSample], begins: float, ends: float) -> float:
    """Return how long the worker that waited longest for a core did so in a span of time."""
    by_worker: Counter[int] = Counter()
    for sample in samples:
        if begins < sample.at and sample.at - _SAMPLE_SECONDS < ends:
            by_worker[sample.pid] += round(sample.starved_ms)
    return max(by_worker.values(), default=0) / 1000
