"""The storms in which mutants must show: a scenario and its options, as short as will show them."""

from __future__ import annotations

from typing import Final, TypeAlias

__all__ = [
    "AUDIENCES",
    "BUDGET",
    "COLD",
    "COLD_START",
    "CONTROLS",
    "DEAD_TOKEN",
    "DEPLOY",
    "DUAL",
    "FEW",
    "GARBAGE",
    "GRID",
    "ISSUER_OUTAGE",
    "KID_FLOOD",
    "LONG_DUAL",
    "LOST_REPLIES",
    "LOST_SUCCESSORS",
    "PARTITION",
    "POLLS",
    "REVOKE",
    "ROTATION",
    "SHORT",
    "SLIDING",
    "SSR",
    "STORE_OUTAGE",
    "SWITCH_ON",
    "TABS",
    "THROTTLED",
    "Storm",
]

Storm: TypeAlias = tuple[str, ...]
"""Arguments of ``linqi storm``."""


def _storm(
    scenario: str,
    sessions: int,
    lifetime: float,
    buffer: float,
    gap: float,
    seconds: float,
    *more: str,
) -> Storm:
    """Return a storm with real durations: nothing is compressed."""
    return (
        *(scenario, "--alg", "ES256", "--compress", "1", "--sessions", str(sessions)),
        *("--lifetime-seconds", f"{lifetime:g}", "--buffer-seconds", f"{buffer:g}"),
        *("--gap-seconds", f"{gap:g}", "--seconds", f"{seconds:g}"),
        *more,
    )


def _settings(**settings: float) -> Storm:
    return tuple(word for name, n in settings.items() for word in ("--set", f"{name}={n:g}"))


SHORT: Final = _storm("storm-sliding", 120, 5, 2, 1, 6)
"""For what shows at the first renewals and refusals."""
SLIDING: Final = _storm("storm-sliding", 120, 9, 3, 1, 11)
FEW: Final = _storm("storm-sliding", 24, 9, 3, 1, 11)
GRID: Final = _storm("storm-sliding", 240, 6, 2, 1, 13)
BUDGET: Final = _storm("storm-sliding", 120, 9, 3, 1, 11, "--budget-per-second", "60")
LOST_SUCCESSORS: Final = _storm("lost-successors", 120, 9, 3, 1, 11)
POLLS: Final = _storm("polling", 120, 9, 3, 2, 12, *_settings(every=1))
DEPLOY: Final = _storm("deploy", 120, 9, 3, 1, 11, *_settings(at=4))
GARBAGE: Final = _storm("garbage-flood", 60, 9, 3, 1, 9)
COLD: Final = _storm("steady", 36_000, 900, 300, 2, 24, *_settings(cold=1))
DUAL: Final = _storm("storm-dual", 120, 9, 3, 1, 12)
LONG_DUAL: Final = _storm("storm-dual", 60, 30, 10, 1, 26)
"""Longer than the grace of 10 s."""
TABS: Final = _storm("tabs", 60, 9, 3, 1, 12)
LOST_REPLIES: Final = _storm("lost-replies", 120, 9, 3, 1, 12, *_settings(share=0.1))
REVOKE: Final = _storm("revoke", 120, 20, 8, 1, 13, *_settings(share=0.2, until=7, **{"from": 1}))
STORE_OUTAGE: Final = _storm("store-outage", 60, 9, 3, 1, 13, *_settings(at=3, seconds=6))
PARTITION: Final = _storm("partition", 60, 20, 8, 1, 18, *_settings(at=3, seconds=10))
ROTATION: Final = _storm("key-rotation", 60, 9, 3, 1, 9, *_settings(at=3))
ISSUER_OUTAGE: Final = _storm("issuer-outage", 60, 9, 3, 1, 10, *_settings(at=2, seconds=6))
KID_FLOOD: Final = _storm("kid-flood", 60, 9, 3, 1, 9)
DEAD_TOKEN: Final = _storm("dead-token", 60, 9, 3, 1, 6)
SSR: Final = _storm("ssr", 20, 6, 2, 2, 8)
AUDIENCES: Final = _storm("audiences", 60, 9, 3, 1, 6)
SWITCH_ON: Final = _storm("switch-on", 120, 6, 2, 0.5, 8)
THROTTLED: Final = _storm("throttled", 250, 20, 8, 2, 8)
COLD_START: Final = _storm("cold-start", 120, 9, 3, 1, 8, *_settings(at=2))
CONTROLS: Final = (
    *(SLIDING, TABS, REVOKE, GRID, DUAL, SLIDING, LOST_REPLIES, DEPLOY, POLLS, STORE_OUTAGE),
    *(SLIDING, TABS, REVOKE, ROTATION, KID_FLOOD, GARBAGE, ISSUER_OUTAGE, COLD, BUDGET, SHORT),
)
"""The storms of the runs without a mutant, in turn."""
