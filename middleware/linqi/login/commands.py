"""The commands of logins, as they are registered."""

from __future__ import annotations

from typing import Final

from linqi.commands.command import Command

__all__ = ["LOGIN", "LOGOUT", "TOKEN"]

LOGIN: Final = Command(summary="sign in, for curl and programs", module="linqi.login.login")
LOGOUT: Final = Command(summary="end a session of linqi login", module="linqi.login.logout")
TOKEN: Final = Command(summary="print the access token of a login", module="linqi.login.token")
