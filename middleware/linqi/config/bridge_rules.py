"""Rules about the tokens of an earlier system."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from linqi.config.bridge_table import BridgeTable
from linqi.config.findings import CheckedSettings, Finding
from linqi.config.value_types import unix_seconds

__all__ = ["BRIDGE_RULES"]

_DAY: Final = 86_400
_LONGEST_DAYS: Final = 366


def _until(checked: CheckedSettings) -> Iterator[Finding]:
    bridge = checked.config.bridge
    if bridge.until is None or bridge == BridgeTable():
        return
    days = (unix_seconds(bridge.until) - checked.now) / _DAY
    if days <= 0:
        yield Finding(
            code="bridge-closed",
            severity="warning",
            table="bridge",
            key="until",
            reason=f"It was over {-days:.1f} days ago: tokens of the earlier system are refused.",
            remedy="Remove [bridge], and delete the earlier key.",
        )
    elif days > _LONGEST_DAYS:
        yield Finding(
            code="bridge-far",
            severity="warning",
            table="bridge",
            key="until",
            reason=f"Anyone with the earlier key can sign in as any user for {days:.0f} more days.",
            remedy="Choose a date soon after the last of the earlier tokens expires.",
        )
    else:
        yield Finding(
            code="bridge-open",
            severity="note",
            table="bridge",
            key="until",
            reason=f"Tokens of the earlier system are accepted for {days:.1f} more days.",
            remedy="Remove [bridge] when linqi_tokens_bridged_total no longer rises.",
        )


def _answer(checked: CheckedSettings) -> Iterator[Finding]:
    config, bridge = checked.config, checked.config.bridge
    lifetime = bridge.lifetime_seconds
    if lifetime is None or bridge == BridgeTable():
        return
    least = config.renewal.max_session_seconds * (1 - config.renewal.cap_spread)
    if config.slides and least <= lifetime:
        yield Finding(
            code="bridge-kept",
            severity="warning",
            table="bridge",
            key="lifetime_seconds",
            reason=f"A session may end {least:g} s after its sign-in, and a token of the earlier"
            f" system {lifetime:g} s after: such a token is not replaced, as its client would lose"
            " by it.",
            remedy="Raise max_session_seconds of [renewal], or let these users sign in again.",
        )
    elif not config.slides and not config.has_store:
        yield Finding(
            code="bridge-unanswered",
            severity="warning",
            table="bridge",
            key="until",
            reason="Without sliding renewal and without a store, tokens of the earlier system are"
            " accepted and never replaced.",
            remedy='Set sliding = "auto" in [renewal], or a store.',
        )


def _cookie(checked: CheckedSettings) -> Iterator[Finding]:
    name = checked.config.cookies.previous_name
    if name is None or "cookie" not in checked.config.http.accept:
        return
    is_used = checked.config.bridge != BridgeTable()
    yield Finding(
        code="previous-cookie",
        severity="note" if is_used else "warning",
        table="cookies",
        key="previous_name",
        reason=f"Tokens are read from the cookie {name} too, which a sibling site can set where its"
        " name has no __Host-: a visitor may then act as another user without knowing."
        + ("" if is_used else " Without [bridge] it is of no use."),
        remedy="Remove it together with [bridge].",
    )


BRIDGE_RULES: Final[tuple[Callable[[CheckedSettings], Iterator[Finding]], ...]] = (
    _until,
    _answer,
    _cookie,
)
