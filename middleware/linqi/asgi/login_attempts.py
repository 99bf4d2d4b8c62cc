"""Attempts to sign in, counted before the password is checked."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from linqi.asgi._http import Scope, client_address
from linqi.asgi.session_cookie import SessionCookie
from linqi.asgi.throttle import LoginThrottle
from linqi.errors import Unavailable
from linqi.events import LoginThrottled, LoginThrottleFailed
from linqi.sessions.attempts import Counter
from linqi.sessions.dual import Sessions

__all__ = ["Attempt", "LoginAttempts"]

_ID_BYTES: Final = 12
_FIELD: Final = "device_token"


class LoginAttempts:
    """Counts the attempts at one login route, and recognises devices by their tokens.

    A device token is sent the way the refresh token is: in a cookie, or in the body.

    Args:
        throttle: The limits.
        sessions: Issues device tokens and receives events.
        cookie: The cookie of the device token.

    """

    def __init__(self, throttle: LoginThrottle, sessions: Sessions, cookie: SessionCookie) -> None:
        self.throttle = throttle
        self.sessions = sessions
        self.cookie = cookie
        self.storage = throttle.storage_beside(sessions.store)

    async def begin(self, scope: Scope, form: Mapping[str, str], *, is_cookie: bool) -> Attempt:
        """Count an attempt before its password is checked.

        Raises:
            Unavailable: The attempt cannot be counted, so it must be refused.

        """
        name = form["username"]
        token = self.cookie.read(scope) if is_cookie else form.get(_FIELD)
        try:
            device_id = await self.sessions.devices.known(token, name) if token else ""
            counters = self.throttle.counters(name, client_address(scope), device_id)
            attempt = Attempt(self, secrets.token_hex(_ID_BYTES), counters, name, device_id)
            full = await self.storage.reserve(
                attempt.attempt_id, counters, await self.sessions.now()
            )
        except Unavailable as error:
            self.sessions.events(LoginThrottleFailed(step="reserve", detail=error.detail))
            raise
        if full:
            attempt.wait = max(1, math.ceil(max(found.wait for found in full)))
            limits = tuple(found.key.partition("-")[0] for found in full)
            self.sessions.events(LoginThrottled(limits=limits, wait=attempt.wait))
        return attempt


class Attempt:
    """One attempt to sign in: counted, or refused where `wait` is above 0.

    Attributes:
        attempt_id: Identifies the attempt in its counters.
        wait: For how many seconds no attempt is allowed; 0 if this one is.

    """

    def __init__(
        self,
        attempts: LoginAttempts,
        attempt_id: str,
        counters: Sequence[Counter],
        name: str,
        device_id: str,
    ) -> None:
        self.attempt_id = attempt_id
        self.wait = 0
        self._attempts = attempts
        self._counters = counters
        self._name = name
        self._device_id = device_id

    async def take_back(self) -> None:
        """Remove the attempt from its counters, because its password was right.

        An attempt that was not answered, because an exception was raised or the client
        disconnected, must stay counted: otherwise an attacker who can cause that guesses for free.
        """
        try:
            await self._attempts.storage.release(self.attempt_id, self._counters)
        except Unavailable as error:  # right password; one attempt stays counted
            self._report("release", error)

    async def device_token(self, subject: str) -> str | None:
        """Return a token that identifies this device from now on; None if none can be issued."""
        try:
            return await self._attempts.sessions.devices.make(
                self._name,
                subject,
                lifetime=self._attempts.throttle.device_lifetime,
                device_id=self._device_id,
            )
        except Unavailable as error:
            self._report("device", error)
            return None

    def _report(self, step: Literal["release", "device"], error: Unavailable) -> None:
        self._attempts.sessions.events(LoginThrottleFailed(step=step, detail=error.detail))
