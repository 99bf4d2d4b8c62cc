"""The commands of the core, as they are registered."""

from __future__ import annotations

from typing import Final

from linqi.commands.command import Command

__all__ = ["CHECK", "INIT", "INSPECT", "JWKS", "KEYGEN", "STORE", "VERIFY"]

INIT: Final = Command(summary="write a linqi.toml with every default", module="linqi.commands.init")
CHECK: Final = Command(summary="look critically at linqi.toml", module="linqi.commands.check")
KEYGEN: Final = Command(summary="make or rotate a key", module="linqi.commands.keygen")
JWKS: Final = Command(summary="show a published key set and lint it", module="linqi.commands.jwks")
STORE: Final = Command(summary="make or tidy a session store", module="linqi.commands.store")
INSPECT: Final = Command(
    summary="show what a token says, without trusting it", module="linqi.commands.inspect"
)
VERIFY: Final = Command(summary="verify a token", module="linqi.commands.verify")
