"""The logins of this account on this machine, and the storages of their tokens."""

from __future__ import annotations

import hashlib
import ipaddress
from importlib import import_module
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from linqi.client.tokens import FileStorage, TokenStorage
from linqi.errors import ConfigurationError
from linqi.jose._atomic_write import PRIVATE, write_atomically

__all__ = ["SavedLogin", "SavedLogins", "base_url", "is_loopback"]


class SavedLogin(msgspec.Struct, frozen=True, kw_only=True):
    """One login at a server, without its tokens."""

    url: str
    """The server's base URL, by which it is found."""
    login_url: str
    """The login route; the routes of refresh and logout have the same parent path."""
    username: str
    storage: Literal["file", "keyring"] = "file"

    def beside(self, name: str) -> str:
        """Return the URL of the route `name` next to the login route."""
        return f"{self.login_url.rpartition('/')[0]}/{name}"


class SavedLogins:
    """The logins in a folder of mode 0700, in files of mode 0600.

    Args:
        folder: The folder; by default the state folder of this account's programs.

    """

    def __init__(self, folder: Path | None = None) -> None:
        if folder is None:
            import platformdirs

            folder = platformdirs.user_state_path("linqi") / "logins"
        self._folder = folder

    def find(self, url: str) -> SavedLogin | None:
        """Return the login at `url`, which `base_url` has normalised; None if there is none."""
        return _read(self._path(url, ".json"))

    def all(self) -> list[SavedLogin]:
        """Return all logins, sorted by URL."""
        found = [_read(path) for path in self._folder.glob("*.login.json")]
        return sorted((login for login in found if login is not None), key=lambda one: one.url)

    def save(self, login: SavedLogin) -> None:
        """Save `login`; it replaces one at the same URL."""
        self._make_folder()
        write_atomically(self._path(login.url, ".json"), msgspec.json.encode(login), PRIVATE)

    def remove(self, login: SavedLogin) -> None:
        """Remove `login` and its tokens."""
        self.storage(login).save(None)
        self._path(login.url, ".json").unlink(missing_ok=True)

    def storage(self, login: SavedLogin) -> TokenStorage:
        """Return the storage of its tokens."""
        if login.storage == "keyring":
            from linqi.login.keyring import KeyringStorage

            return KeyringStorage(login.url)
        self._make_folder()
        return FileStorage(self._path(login.url, ".tokens"))

    def need_library(self, storage: str) -> None:
        """Raise `ModuleNotFoundError` if the library of a storage is not installed."""
        if storage == "keyring":
            import_module("linqi.login.keyring")

    def _make_folder(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _path(self, url: str, ending: str) -> Path:
        digest = hashlib.sha256(url.encode()).hexdigest()[:24]
        return self._folder / f"{digest}.login{ending}"


def base_url(text: str, *, is_plain_allowed: bool = False) -> str:
    """Return a server's URL in normal form: lower-case host, no slash at the end.

    Args:
        text: The URL as the user typed it.
        is_plain_allowed: Whether ``http`` is allowed for other hosts than this machine.

    Raises:
        ConfigurationError: A password must not be sent there. The message does not repeat the URL,
            which may contain a password.

    """
    try:
        parts = urlsplit(text)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        parts, port = urlsplit(""), ""
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError(["the server is not a URL such as https://shop.example"])
    if parts.username is not None or parts.query or parts.fragment:
        raise ConfigurationError(["the URL has a user name, a query or a fragment; remove it"])
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    url = f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"
    if parts.scheme == "http" and not (is_plain_allowed or is_loopback(parts.hostname)):
        raise ConfigurationError(
            [
                "the URL is http: everyone on the network path can read the password; use https, or"
                " --insecure-http if you trust the network"
            ]
        )
    return url


def is_loopback(host: str) -> bool:
    """Return whether `host` is a loopback address or ``localhost``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _read(path: Path) -> SavedLogin | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=SavedLogin)
    except (FileNotFoundError, msgspec.MsgspecError, UnicodeError):
        return None
