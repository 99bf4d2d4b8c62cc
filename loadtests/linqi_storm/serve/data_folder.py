"""The private data folder of the issuing app, created once by the first worker."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from linqi import ConfigurationError, Key, KeyFile, KeySet, LoggingHook
from linqi_storm.serve.users import DemoUsers

__all__ = ["DataFolder", "make_once", "open_data_folder", "refresh_keys"]

_PASSWORD_BYTES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFolder:
    """The content of a data folder."""

    key_file: KeyFile
    users: DemoUsers
    new_password: str | None = field(repr=False)
    """The demo users' password if this call generated it: it is shown once and not stored."""


def open_data_folder(data: Path, *, alg: str = "ES256", password: str | None = None) -> DataFolder:
    """Return the keys and demo users in the folder `data`, and create what is missing.

    The folder gets mode 0700, its files 0600. Each file is created by exactly one of several
    processes that start together. Without `password` a random one is generated.

    Raises:
        ConfigurationError: If the folder was created for another `alg` or `password`.

    """
    if not data.is_dir():
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys_path, users_path = data / "keys.json", data / "users.json"
    KeySet.load_or_create(keys_path, alg)
    key_file = KeyFile(keys_path, hooks=[LoggingHook()])
    found = key_file.keys.signing_key().alg
    if found != alg:
        raise ConfigurationError(
            [f"{keys_path} is for {found}, not {alg}; use another data folder"]
        )
    chosen = password or secrets.token_urlsafe(_PASSWORD_BYTES)
    is_new = not users_path.exists() and make_once(users_path, DemoUsers.make(chosen).save)
    users = DemoUsers.load(users_path)
    if password is not None and not is_new and not users.share(password):
        raise ConfigurationError(
            [f"{users_path} was made with another password; leave it out or use another folder"]
        )
    return DataFolder(
        key_file=key_file, users=users, new_password=chosen if is_new and password is None else None
    )


def refresh_keys(data: Path) -> Sequence[Key]:
    """Return the secrets of refresh tokens in the folder `data`; create one if missing."""
    return KeySet.load_or_create(data / "refresh.json", "HS256").keys


def make_once(path: Path, save: Callable[[Path], object]) -> bool:
    """Create `path` by `save` unless it exists; return whether this call created it.

    The file appears complete: it is written under another name and then linked, which fails if
    another process was faster.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        save(beside)
        os.link(beside, path)
    except FileExistsError:
        return False
    finally:
        beside.unlink(missing_ok=True)
    return True
