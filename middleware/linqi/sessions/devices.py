"""The devices on which users signed in: their tokens, and the revocation of those."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from linqi.jose.keys import Secrets
from linqi.sessions.device_token import (
    LONGEST_DEVICE_SECONDS,
    DeviceTokens,
    PresentedDevice,
    new_device_id,
    owner_of,
)
from linqi.sessions.store import SessionStore

__all__ = ["Devices"]


class Devices:
    """Makes and checks device tokens, and revokes those of a subject.

    A token carries the instant at which the subject's earlier tokens had ended when it was made,
    and the store keeps that instant: a token is over as soon as the store has a later one. It only
    rises, so the clocks of workers need not agree, and it is one row for a subject that ever ended
    them, however many devices there are. `ready` starts the store if it is not started.
    """

    def __init__(
        self,
        store: SessionStore,
        secret: Secrets,
        *,
        issuer: str,
        ready: Callable[[], Awaitable[None]],
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._ready = ready
        self._tokens = DeviceTokens(secret, issuer=issuer, clock=clock)
        self._clock = clock

    async def known(self, token: str, name: str) -> str:
        """Return the id of the device that `token` names, or "" if it is not valid for `name`.

        Raises:
            Unavailable: The store did not answer, so it is unknown whether the token was revoked.

        """
        device = self._tokens.check(token, name)
        if device is None or self._clock() >= device.expires_at:
            return ""
        await self._ready()
        ended_at = await self._store.devices_ended_at(device.owner)
        return device.device_id if ended_at <= device.ended_at else ""

    async def make(self, name: str, subject: str, *, lifetime: float, device_id: str = "") -> str:
        """Return a token of `device_id`, or of a new device, that is valid for `lifetime` seconds.

        Call it only for a `subject` that has just signed in as `name`.

        Raises:
            Unavailable: The store did not answer.

        """
        owner = owner_of(subject)
        await self._ready()
        return self._tokens.make(
            name,
            PresentedDevice(
                device_id=device_id or new_device_id(),
                owner=owner,
                ended_at=await self._store.devices_ended_at(owner),
                expires_at=self._clock() + min(lifetime, LONGEST_DEVICE_SECONDS),
            ),
        )

    async def end(self, subject: str) -> None:
        """Revoke all device tokens of `subject` that were made until now."""
        await self._ready()
        await self._store.end_devices(owner_of(subject), self._clock())
