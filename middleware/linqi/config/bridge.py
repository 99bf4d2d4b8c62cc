"""The bridge of a `Config`, with its key."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Final

from linqi.config import key_material
from linqi.config.bridge_table import BridgeTable
from linqi.config.faults import Faults
from linqi.config.schema import Config
from linqi.config.setting import arguments_for
from linqi.config.value_types import unix_seconds
from linqi.errors import ConfigurationError, InvalidKey
from linqi.jose.bridge import Bridge
from linqi.jose.issuers import TrustedIssuer
from linqi.jose.key import Key

__all__ = ["bridge_of"]

_NEEDED: Final = {
    "until": "set the date from which on the tokens are refused, such as 2027-03-01",
    "lifetime_seconds": "set the lifetime that the earlier system gave its tokens",
}


def bridge_of(
    config: Config,
    faults: Faults,
    environ: Mapping[str, str],
    issuers: Sequence[TrustedIssuer],
) -> Bridge | None:
    """Return the bridge that `config` describes; None without one, or with faults."""
    table = config.bridge
    if table == BridgeTable():
        return None
    before = len(faults.found)
    for name, expected in _NEEDED.items():
        if getattr(table, name) is None:
            faults.missing("bridge", name, expected)
    if not config.has_keys:
        text = "[bridge] needs signing keys, whose tokens replace the earlier ones"
        faults.missing("keys", "file", text)
    key = _key(config, faults, environ)
    if key is None or len(faults.found) > before:
        return None
    with faults.at("bridge", "file" if table.file else "env"):
        bridge = Bridge(
            key=key,
            until=unix_seconds(table.until),
            audience=table.audience or None,
            **arguments_for(Bridge, table),
        )
        bridge.over(issuers, 0, time.time)
        return bridge
    return None


def _key(config: Config, faults: Faults, environ: Mapping[str, str]) -> Key | None:
    table = config.bridge
    if table.file and table.env:
        faults.add("contradiction", "bridge", "env", "file is set too; remove one of the two")
        return None
    if not table.file and not table.env:
        faults.missing("bridge", "env", "name the variable or the file that holds the earlier key")
        return None
    with faults.at("bridge", "file" if table.file else "env"):
        if table.file:
            text = key_material.text_of_file(config.folder / table.file)
        else:
            text = key_material.text_of(str(table.env), environ)
        try:
            keys = key_material.keys_of_text(text, table.algorithm).keys
        except InvalidKey as error:
            raise InvalidKey(
                f"{error}. The earlier tokens were made with this key, so anyone else may have"
                " made them too: remove [bridge], and let users sign in again"
            ) from None
        if len(keys) != 1:
            raise ConfigurationError(["expected one key, since its tokens name none"])
        return keys[0]
    return None
