"""The session store of a `Config`, its sign-in counters, and the secrets of refresh tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from linqi.config import key_material
from linqi.config.faults import Faults
from linqi.config.schema import Config
from linqi.errors import InvalidKey
from linqi.jose.key import Key
from linqi.jose.keys import KeySet
from linqi.sessions.attempts import AttemptStore
from linqi.sessions.store import SessionStore
from linqi.stores.store_url import open_attempts, open_store

__all__ = ["attempts_of", "refresh_secrets", "store_of"]


def store_of(config: Config, faults: Faults, environ: Mapping[str, str]) -> SessionStore | None:
    """Return the store, not connected yet; None without one, or with faults added to `faults`."""
    table = config.store
    if not config.has_store:
        return None
    if not config.has_keys:
        faults.missing("keys", "file", "sessions need signing keys: set file or env")
    if table.url and table.url_env:
        faults.add("contradiction", "store", "url_env", "url is set too; remove one of the two")
        return None
    with faults.at("store", "url" if table.url else "url_env"):
        return open_store(
            _url(config, table.url or key_material.text_of(str(table.url_env), environ))
        )
    return None


def attempts_of(config: Config, faults: Faults, environ: Mapping[str, str]) -> AttemptStore | None:
    """Return the sign-in counters that [throttle] names; None to use those of the store."""
    table = config.throttle
    if table.storage and table.storage_env:
        text = "storage is set too; remove one of the two"
        faults.add("contradiction", "throttle", "storage_env", text)
    elif table.storage or table.storage_env:
        with faults.at("throttle", "storage" if table.storage else "storage_env"):
            url = table.storage or key_material.text_of(str(table.storage_env), environ)
            return open_attempts(_url(config, url))
    return None


def _url(config: Config, url: str) -> str:
    """Return `url`; a relative SQLite path starts at the folder of the configuration."""
    scheme, _, path = url.partition(":")
    return f"sqlite:{config.folder / path}" if scheme == "sqlite" and path else url


def refresh_secrets(config: Config, faults: Faults, environ: Mapping[str, str]) -> Sequence[Key]:
    """Return the secrets, the newest last; empty if there are faults, added to `faults`."""
    table = config.store
    if not config.has_store:
        return ()
    if table.secrets_file and table.secrets_env:
        text = "secrets_file is set too; remove one of the two"
        faults.add("contradiction", "store", "secrets_env", text)
    elif table.secrets_file:
        with faults.at("store", "secrets_file", f'"{table.secrets_file}"'):
            found = key_material.keys_of_file(config.folder / table.secrets_file)
            return _secrets(found if isinstance(found, KeySet) else found.keys)
    elif table.secrets_env:
        with faults.at("store", "secrets_env"):
            return _secrets(
                key_material.keys_of_text(key_material.text_of(table.secrets_env, environ))
            )
    else:
        faults.missing(
            "store",
            "secrets_file",
            "refresh tokens need a secret: name a file here, or a variable in secrets_env",
        )
    return ()


def _secrets(keys: KeySet) -> Sequence[Key]:
    if any(key.kty != "oct" for key in keys.keys):
        raise InvalidKey("a key is not an HMAC secret; make one with `linqi keygen --alg HS256`")
    return keys.keys
