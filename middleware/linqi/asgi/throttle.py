"""The limits of failed sign-ins."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from typing import ClassVar

from linqi._ranges import Range, Ranges, range_faults
from linqi.asgi.client_address import client_network, read_networks
from linqi.errors import ConfigurationError
from linqi.sessions.attempts import AttemptLimit, AttemptStore, Counter, CountsAttempts
from linqi.sessions.device_token import LONGEST_DEVICE_SECONDS
from linqi.sessions.store import SessionStore

__all__ = ["LoginThrottle"]


class LoginThrottle:
    """The limits of failed sign-ins, per name, per address, per device.

    An attempt is counted before the password is checked, and removed if the password was right.
    A limit is a text such as ``5 per 5 minutes``: 1 to 1,000 attempts in a moving window of at
    most a day. The counters are stored beside the sessions, so that all workers share them.

    Args:
        per_pair: Failures of one name from one address. This is the tightest limit: it stops
            guessing, and an attacker at another address cannot lock the user out.
        per_address: Failures from one IPv4 address or one IPv6 /64, of any name. It is not
            counted where the address identifies no client: see `proxies`.
        per_name: Failures of one name from any address. Above it the name is refused even with
            the right password, except on a device with a device token of that name.
        per_device: Failures on one such device, which do not count for the name.
        device_lifetime: For how many seconds a device token is valid after a sign-in: 1 hour to
            400 days, 90 days by default.
        proxies: Addresses and networks of proxies that the ASGI scope names in place of the
            client, such as ``["10.0.0.0/8"]``. The per-address limit does not count requests from
            these, from loopback or without an address.
        storage: Counters in another storage than the session store; the throttle closes it and is
            then one of a middleware's ``services``.

    Raises:
        ConfigurationError: A limit, network, lifetime or storage is not of that form.

    """

    RANGES: ClassVar[Ranges] = {"device_lifetime": Range(3_600, LONGEST_DEVICE_SECONDS, "seconds")}

    def __init__(
        self,
        *,
        per_pair: str = "5 per 5 minutes",
        per_address: str = "50 per 5 minutes",
        per_name: str = "100 per hour",
        per_device: str = "10 per hour",
        device_lifetime: float = 7_776_000,
        proxies: Sequence[str] = (),
        storage: AttemptStore | None = None,
    ) -> None:
        self._faults: list[str] = []
        self._pair = self._limit("per_pair", per_pair)
        self._address = self._limit("per_address", per_address)
        self._name = self._limit("per_name", per_name)
        self._device = self._limit("per_device", per_device)
        try:
            self._proxies = read_networks(proxies)
        except ConfigurationError as error:
            self._faults += error.faults
        self._faults += range_faults(self.RANGES, {"device_lifetime": device_lifetime})
        if storage is not None and not isinstance(storage, AttemptStore):
            self._faults.append("storage has no counters; open_attempts(url) makes some")
        if self._faults:
            raise ConfigurationError(self._faults)
        self.device_lifetime = device_lifetime
        self.storage = storage

    async def start(self) -> None:
        """Do nothing: the storage connects with its first use."""

    async def close(self) -> None:
        """Close the storage, if it is not the session store's."""
        if self.storage is not None:
            await self.storage.close()

    def storage_beside(self, store: SessionStore) -> AttemptStore:
        """Return the storage of the counters: the throttle's own, or that of `store`.

        Raises:
            ConfigurationError: `store` has no counters.

        """
        if self.storage is not None:
            return self.storage
        if isinstance(store, CountsAttempts):
            return store.attempts()
        raise ConfigurationError(
            [
                "the session store cannot count sign-ins; give throttle=LoginThrottle("
                "storage=open_attempts('memory:')), or the URL of a shared storage"
            ]
        )

    def counters(self, name: str, host: object, device_id: str = "") -> list[Counter]:
        """Return the counters of one attempt.

        Args:
            name: The name that the user typed. Names that differ only in case, width, composition
                or surrounding space count together (NFKC, case folding).
            host: The client's address in the ASGI scope.
            device_id: The device whose token is valid for `name`, or "". It is counted in place
                of the name, and in place of a missing address: other clients behind the same
                proxy cannot lock it out.

        """
        address = client_network(host, self._proxies)
        folded = _folded(name)
        found = [_counter("pair", self._pair, folded, address or device_id)]
        if address:
            found.append(_counter("address", self._address, address))
        if device_id:
            found.append(_counter("device", self._device, device_id))
        else:
            found.append(_counter("name", self._name, folded))
        return found

    def _limit(self, name: str, text: str) -> AttemptLimit:
        try:
            return AttemptLimit.parse(text)
        except ConfigurationError as error:
            self._faults += [f"{name}: {fault}" for fault in error.faults]
            return AttemptLimit(1, 1)


def _counter(kind: str, limit: AttemptLimit, *parts: str) -> Counter:
    """Return a counter whose key is bounded and contains no name and no address."""
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return Counter(f"{kind}-{digest[:32]}", limit)


def _folded(name: str) -> str:
    folded = unicodedata.normalize("NFKC", name).casefold()
    return unicodedata.normalize("NFKC", folded).strip()
