"""All mutants, in the order in which they are run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mutants import (  # noqa: F401 - each registers its mutants
    claims,
    incidents,
    lifetimes,
    outside,
    refresh,
    refusals,
    renewals,
    resources,
    revocations,
    trust,
)
from mutants.registry import REGISTERED, Mutant

__all__ = ["MUTANTS"]

MUTANTS: Final[Mapping[str, Mutant]] = REGISTERED
