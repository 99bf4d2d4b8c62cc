"""What the clients of a scenario did and were answered: lines of JSON that any judge can read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

FOLDER: Final = Path(__file__).parent.parent.parent / "build" / "distributed"
"""Where `make distributed` finds the histories."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line: what the rule allows in this history."""

    scenario: str
    engine: str
    grace: float = 10.0
    recover_seconds: float = 86_400.0
    ahead: int = 2
    """By how many numbers a counter may be ahead of the store, which then forgot writes."""
    bound: float
    """Seconds after an acknowledged end within which a worker may accept an access token."""
    may_forget: bool = False
    """Whether the engine is documented to lose acknowledged refreshes and sign-ins here."""
    may_revive: bool = False
    """Whether it is documented to lose acknowledged sign-outs, too."""
    prevented_by: str = ""
    """What prevents that loss."""
    limit: float = 5.0
    """Seconds after which a worker gives a call of the store up."""
    clocks_agree: bool = True
    """Whether every worker must accept every access token; the clocks of 400 s apart do not."""


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One request, from its start to its answer, in seconds of the harness's monotonic clock."""

    client: str
    kind: str
    """``login``, ``refresh``, ``logout``, ``logout-all`` or ``access``."""
    worker: int
    began: float
    ended: float
    status: int
    """0: no answer, so that it is not known whether the request was executed."""
    outcome: str = ""
    session: str = ""
    subject: str = ""
    presented: int = -1
    """The number of the refresh token that was presented (of its pair, for an access token)."""
    given: int = -1
    """The number of the refresh token that was given."""
    token: str = ""
    """The first characters of the digest of the token that was given."""


class History(msgspec.Struct, frozen=True):
    """A header, and the operations in the order in which they began."""

    header: Header
    operations: Sequence[Operation]


def write(path: Path, header: Header, operations: Sequence[Operation]) -> History:
    """Write a history to `path`, and return it."""
    ordered = sorted(operations, key=lambda one: one.began)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [header, *ordered]
    path.write_bytes(b"\n".join(msgspec.json.encode(line) for line in lines) + b"\n")
    return History(header, ordered)


def read(path: Path) -> History:
    """Return the history in `path`."""
    first, *rest = path.read_bytes().splitlines()
    header = msgspec.json.decode(first, type=Header)
    return History(header, [msgspec.json.decode(line, type=Operation) for line in rest])
