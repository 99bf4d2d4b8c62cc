"""The session store of a `Config`, its sign-in counters, and the secrets of refresh tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from linqi._notes import KeepsNotes
from linqi.config import key_material
from linqi.config.faults import Faults
from linqi.config.schema import Config
from linqi.errors import InvalidKey
from linqi.events import Hook
from linqi.jose.keys import KeySet
from linqi.jwks.key_file import KeyFile
from linqi.jwks.store_share import StoreShare
from linqi.sessions.attempts import AttemptStore
from linqi.sessions.store import SessionStore
from linqi.stores.store_url import open_attempts, open_store, option_faults, sqlite_path

__all__ = ["attempts_of", "key_set_share", "refresh_secrets", "store_of"]


def store_of(
    config: Config, faults: Faults, environ: Mapping[str, str], clock: Callable[[], float]
) -> SessionStore | None:
    """Return the store, not connected yet; None without one, or with faults added to `faults`."""
    table = config.store
    if not config.has_store:
        return None
    if not config.has_keys:
        faults.missing("keys", "file", "sessions need signing keys: set file or env")
    if table.url and table.url_env:
        faults.add("contradiction", "store", "url_env", "url is set too; remove one of the two")
        return None
    if table.listen_url and table.listen_url_env:
        text = "listen_url is set too; remove one of the two"
        faults.add("contradiction", "store", "listen_url_env", text)
        return None
    options = table.options()
    with faults.at("store", "listen_url_env"):
        if table.listen_url_env:
            options["listen_url"] = key_material.text_of(table.listen_url_env, environ)
    with faults.at("store", "url" if table.url else "url_env"):
        url = _url(config, table.url or key_material.text_of(str(table.url_env), environ))
        for name, text in option_faults(url, options).items():
            key = "listen_url_env" if name == "listen_url" and table.listen_url_env else name
            faults.add("contradiction", "store", key, text)
            del options[name]
        return open_store(url, clock=clock, **options)
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
    if not url.startswith("sqlite:") or url == "sqlite:":
        return url
    return f"sqlite:{config.folder / sqlite_path(url)}"


def refresh_secrets(
    config: Config, faults: Faults, environ: Mapping[str, str], hooks: Sequence[Hook]
) -> KeyFile | KeySet | None:
    """Return the secrets, the newest last; None without a store, or with faults added to `faults`.

    A JWKS file is followed by the returned `KeyFile`.
    """
    table = config.store
    if not config.has_store:
        return None
    if table.secrets_file and table.secrets_env:
        text = "secrets_file is set too; remove one of the two"
        faults.add("contradiction", "store", "secrets_env", text)
    elif table.secrets_file:
        with faults.at("store", "secrets_file", f'"{table.secrets_file}"'):
            return _secrets(
                key_material.keys_of_file(
                    config.folder / table.secrets_file,
                    check_seconds=config.keys.check_seconds,
                    hooks=hooks,
                )
            )
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
    return None


def key_set_share(
    config: Config, faults: Faults, store: SessionStore | None, secrets: KeyFile | KeySet | None
) -> StoreShare | None:
    """Return how key sets of outside issuers are shared through `store`; None if they are not."""
    if not config.jwks.share_in_store:
        return None
    if config.jwks.share_folder:
        text = "share_folder is set too; remove one of the two"
        faults.add("contradiction", "jwks", "share_in_store", text)
    elif not config.has_store:
        faults.missing("store", "url", "share_in_store of [jwks] needs a store: set url or url_env")
    elif isinstance(store, KeepsNotes) and secrets is not None:
        return StoreShare(store.notes(), secrets if isinstance(secrets, KeySet) else secrets.keys)
    return None


def _secrets(found: KeyFile | KeySet) -> KeyFile | KeySet:
    keys = found if isinstance(found, KeySet) else found.keys
    if any(key.kty != "oct" for key in keys.keys):
        raise InvalidKey("a key is not an HMAC secret; make one with `linqi keygen --alg HS256`")
    return found
