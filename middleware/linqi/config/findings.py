"""The findings of `linqi check`, and what its rules receive."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias

from linqi.config.schema import Config
from linqi.jose.keys import KeySet

__all__ = ["SEVERITIES", "CheckedSettings", "Finding", "Severity"]

Severity: TypeAlias = Literal["error", "warning", "note"]
"""``error``: unsafe or not working; ``warning``: fix it, unless intended; ``note``: information."""

SEVERITIES: Final[tuple[Severity, ...]] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding of a rule."""

    code: str
    """Stable, for programs."""
    severity: Severity
    table: str = ""
    key: str = ""
    reason: str
    """One sentence: what is wrong, and what follows from it."""
    remedy: str
    """One sentence: how to fix it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedSettings:
    """What the rules of `linqi check` receive."""

    config: Config
    text: str = ""
    """The text of the file."""
    modes: Mapping[Path, int] = field(default_factory=dict)
    """The permission bits of the configuration and of the files that it names."""
    signing: KeySet | None = None
    """The signing keys, if they could be read."""
    verify: KeySet | None = None
    """The keys of the other kind that only verify, if there are any that could be read."""
    refresh: KeySet | None = None
    """The secrets of refresh tokens, if they could be read."""
    certificate_ends: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """When each certificate ends that gives a key, in Unix seconds, by table and key."""
    now: float = field(default_factory=time.time)
    """Unix seconds."""
