"""One attempt to sign in: counted before it is answered, and what a right password makes of it."""

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

    A device token travels as the refresh token does: in a cookie beside it, or in the body.
    """

    def __init__(self, throttle: LoginThrottle, sessions: Sessions, cookie: SessionCookie) -> None:
        self.throttle = throttle
        self.sessions = sessions
        self.cookie = cookie
        self.storage = throttle.storage_beside(sessions.store)

    async def begin(
        self, scope: Scope, form: Mapping[str, str], *, is_cookie: bool, now: float
    ) -> Attempt:
        """Count an attempt, before anything is asked about its password.

        Raises:
            Unavailable: It cannot be counted, so it must not go on.

        """
        name = form["username"]
        token = self.cookie.read(scope) if is_cookie else form.get(_FIELD)
        try:
            device_id = await self.sessions.devices.known(token, name) if token else ""
            counters = self.throttle.counters(name, client_address(scope), device_id)
            attempt = Attempt(self, secrets.token_hex(_ID_BYTES), counters, name, device_id)
            full = await self.storage.reserve(attempt.attempt_id, counters, now)
        except Unavailable as error:
            self.sessions.events(LoginThrottleFailed(step="reserve", detail=error.detail))
            raise
        if full:
            attempt.wait = max(1, math.ceil(max(found.wait for found in full)))
            limits = tuple(found.key.partition("-")[0] for found in full)
            self.sessions.events(LoginThrottled(limits=limits, wait=attempt.wait))
        return attempt


class Attempt:
    """An attempt that was counted, or refused where `wait` is not 0."""

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
        """For how many seconds no attempt is allowed; 0 when this one is."""
        self._attempts = attempts
        self._counters = counters
        self._name = name
        self._device_id = device_id

    async def take_back(self) -> None:
        """Count the attempt no longer: its password was right.

        Call it only then. An attempt that was not answered, because something raised or the client
        left, stays counted: else whoever can make that happen guesses for nothing.
        """
        try:
            await self._attempts.storage.release(self.attempt_id, self._counters)
        except Unavailable as error:  # the user is who they say, and one attempt counts too much
            self._tell("release", error)

    async def device_token(self, subject: str) -> str | None:
        """Return a token by which this device is known from now on; None if none can be made."""
        try:
            return await self._attempts.sessions.devices.make(
                self._name,
                subject,
                lifetime=self._attempts.throttle.device_lifetime,
                device_id=self._device_id,
            )
        except Unavailable as error:
            self._tell("device", error)
            return None

    def _tell(self, step: Literal["release", "device"], error: Unavailable) -> None:
        self._attempts.sessions.events(LoginThrottleFailed(step=step, detail=error.detail))
