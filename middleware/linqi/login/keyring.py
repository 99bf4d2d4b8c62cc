"""Tokens in the operating system's password store, by the library keyring."""

from __future__ import annotations

from typing import Final

import msgspec.structs

try:
    import keyring
    from keyring.errors import KeyringError, PasswordDeleteError
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "linqi.login.keyring needs keyring: pip install 'linqi[keyring]'", name=error.name
    ) from error

from linqi.client.tokens import ClientTokens, decode_tokens, encode_tokens

__all__ = ["KeyringStorage"]

_MOST_CHARACTERS: Final = 1_200
"""The smallest store, that of Windows, takes 2,560 bytes and needs two for each character."""


class KeyringStorage:
    """Keeps tokens as one password in the configured keyring backend.

    Tokens that are too long for the smallest store are saved without the access token; the client
    then gets a new one with the refresh token.

    Args:
        account: The user name of the password; one for each login.
        service: The service of the password.

    """

    def __init__(self, account: str, *, service: str = "linqi") -> None:
        self._account = account
        self._service = service

    def load(self) -> ClientTokens | None:
        """Return the saved tokens; None if there are none.

        Raises:
            OSError: The keyring is locked or missing.

        """
        try:
            kept = keyring.get_password(self._service, self._account)
        except KeyringError as error:
            raise _failed("read", error) from error
        return None if kept is None else decode_tokens(kept.encode())

    def save(self, tokens: ClientTokens | None) -> None:
        """Save `tokens`, or remove the password if they are None.

        Raises:
            OSError: The keyring is locked or missing.

        """
        try:
            if tokens is not None:
                keyring.set_password(self._service, self._account, _text(tokens))
            elif keyring.get_password(self._service, self._account) is not None:
                keyring.delete_password(self._service, self._account)
        except PasswordDeleteError as error:
            raise _failed("delete", error) from error
        except KeyringError as error:
            raise _failed("write", error) from error


def _text(tokens: ClientTokens) -> str:
    text = encode_tokens(tokens).decode()
    if len(text) > _MOST_CHARACTERS and tokens.refresh_token:
        text = encode_tokens(msgspec.structs.replace(tokens, access_token="")).decode()
    return text


def _failed(what: str, error: Exception) -> OSError:
    return OSError(f"the keyring could not {what}: {type(error).__name__}: {error}")
