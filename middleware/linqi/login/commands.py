"""The registration of ``linqi login``, ``logout`` and ``token``."""

from __future__ import annotations

from typing import Final

from linqi.commands.command import Command

__all__ = ["LOGIN", "LOGOUT", "TOKEN"]

LOGIN: Final = Command(
    summary="sign in and save the tokens, for curl and programs", module="linqi.login.login"
)
LOGOUT: Final = Command(
    summary="end a session that `linqi login` started", module="linqi.login.logout"
)
TOKEN: Final = Command(
    summary="print the access token of a saved login", module="linqi.login.token"
)
