"""What a look at a configuration finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias

from linqi.config.schema import Config
from linqi.jose.keys import KeySet

__all__ = ["SEVERITIES", "CheckedSettings", "Finding", "Severity"]

Severity: TypeAlias = Literal["error", "warning", "note"]
"""``error``: unsafe or not working; ``warning``: to be mended or meant; ``note``: to be known."""

SEVERITIES: Final[tuple[Severity, ...]] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing found."""

    code: str
    """Stable."""
    severity: Severity
    table: str = ""
    key: str = ""
    reason: str
    """One sentence."""
    mend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedSettings:
    """What there is to look at."""

    config: Config
    text: str = ""
    """The file as it is written."""
    modes: Mapping[Path, int] = field(default_factory=dict)
    """The permissions of the files that are named, and of the configuration itself."""
    signing: KeySet | None = None
    refresh: KeySet | None = None
