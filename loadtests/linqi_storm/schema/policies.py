"""Renewal policies by their names on a command line."""

from __future__ import annotations

from linqi import ConfigurationError, Grid, Jitter, Policy, Threshold

__all__ = ["parse_policy"]


def parse_policy(text: str) -> Policy:
    """Return the policy that `text` names: ``grid``, ``plain`` or such as ``jitter .25``.

    Raises:
        ConfigurationError: If `text` names none of them.

    """
    if text == "grid":
        return Grid()
    if text == "plain":
        return Threshold()
    name, _, width = text.partition(" ")
    try:
        if name == "jitter":
            return Jitter(float(width))
    except ValueError:
        pass
    raise ConfigurationError(
        [f"the policy is {text!r}, expected grid, plain or such as 'jitter .25'"]
    )
