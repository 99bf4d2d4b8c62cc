"""The data folder of the issuing app: made once, private, whichever worker comes first."""

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
    """What a data folder holds."""

    key_file: KeyFile
    users: DemoUsers
    new_password: str | None = field(repr=False)
    """The demo users' password where this very call made it up: it is shown once, never kept."""


def open_data_folder(data: Path, *, alg: str = "ES256", password: str | None = None) -> DataFolder:
    """Give the keys and demo users in the folder `data`, making what is not there yet.

    The folder is made with mode 0700, its files with 0600. Processes that start together agree:
    each file is made by exactly one of them. Without `password` a random one is made up.
    `ConfigurationError` when the folder was made for another `alg` or `password`.
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
    """Give the secrets of refresh tokens in the folder `data`, making one if there is none."""
    return KeySet.load_or_create(data / "refresh.json", "HS256").keys


def make_once(path: Path, save: Callable[[Path], object]) -> bool:
    """Let `save` write `path`, unless it is there already; tell whether it was this call.

    The file appears whole: it is written beside and then linked, which fails where another
    process was quicker.
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
