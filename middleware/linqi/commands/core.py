"""The registrations of the commands of the core."""

from __future__ import annotations

from typing import Final

from linqi.commands.command import Command

__all__ = ["CHECK", "INIT", "INSPECT", "JWKS", "KEYGEN", "SCHEMA", "STORE", "VERIFY"]

INIT: Final = Command(
    summary="write a new linqi.toml: every key, its meaning and its default",
    module="linqi.commands.init",
)
CHECK: Final = Command(
    summary="find faults and unsafe settings in linqi.toml", module="linqi.commands.check"
)
KEYGEN: Final = Command(
    summary="make, rotate or remove a signing key", module="linqi.commands.keygen"
)
JWKS: Final = Command(
    summary="show a published key set and check it for faults", module="linqi.commands.jwks"
)
STORE: Final = Command(
    summary="create, clean and keep a session store", module="linqi.commands.store"
)
SCHEMA: Final = Command(
    summary="print the JSON Schema of linqi.toml, for editors",
    module="linqi.commands.schema_file",
)
INSPECT: Final = Command(
    summary="print the header and the claims of a token, unverified",
    module="linqi.commands.inspect",
)
VERIFY: Final = Command(
    summary="verify a token with the keys of a file", module="linqi.commands.verify"
)
