"""A worker of the release that is on its path: it does what a test sends it as lines of JSON.

It uses only what both releases have, and prints one line of JSON for each command.
"""

import asyncio
import json
import sys
import time
from typing import Any

import linqi
from linqi import Signer, Verifier
from linqi.errors import LinqiError
from linqi.jose.key import Key
from linqi.sessions.dual import Sessions
from linqi.stores.postgres import PostgresStore
from linqi.stores.store_url import open_store

SIGNING, REFRESHING = bytes(range(64)), bytes(range(64, 128))


class Worker:
    """A session service and a verifier, as an application has them."""

    def __init__(self, url: str) -> None:
        self.store = open_store(url)
        signer = Signer(Key.from_secret(SIGNING), issuer="https://shop.example", audience="shop")
        self.sessions = Sessions(self.store, signer, Key.from_secret(REFRESHING), hooks=[])
        self.verifier = Verifier.trusting(signer, is_revoked=self.sessions.revocations.is_revoked)

    async def where(self) -> str:
        """Return where the release is."""
        return str(linqi.__file__)

    async def init(self) -> None:
        """Make the schema, as ``linqi store init`` does."""
        if isinstance(self.store, PostgresStore):
            await self.store.initialize()

    async def start(self) -> None:
        """Start the service."""
        await self.sessions.start()

    async def stop(self) -> None:
        """Stop it."""
        await self.sessions.close()

    async def sign_in(self, user: str) -> list[str]:
        """Return a session id, a refresh token and an access token."""
        pair = await self.sessions.sign_in(user)
        return [pair.session_id, pair.refresh_token, pair.access_token]

    async def refresh(self, token: str) -> list[str]:
        """Return the outcome, and the next tokens."""
        pair = await self.sessions.refresh(token)
        return [pair.outcome, pair.refresh_token, pair.access_token]

    async def revoke(self, session_id: str) -> bool:
        """Revoke one session."""
        return await self.sessions.revoke(session_id)

    async def revoke_all(self, user: str) -> list[str]:
        """Revoke those of a user."""
        return [*await self.sessions.revoke_all(user)]

    async def outdate(self, user: str) -> None:
        """Let the claims of a user be read again; only the new release has that."""
        await self.sessions.revocations.refresh_claims(user)

    async def list(self, user: str) -> list[str]:
        """Return the live sessions of a user."""
        return [row.session_id for row in await self.sessions.sessions(user)]

    async def verify(self, token: str) -> str:
        """Return the subject of an access token."""
        return str(self.verifier.verify(token).subject)

    async def purge(self) -> None:
        """Delete what is over."""
        now = getattr(self.store, "now", time.time)  # the release before has no clock of the store
        await self.store.purge(now(), 500)


async def main(url: str) -> None:
    """Do what comes in until it ends."""
    worker = Worker(url)
    while line := await asyncio.to_thread(sys.stdin.readline):
        name, *arguments = json.loads(line)
        answer: dict[str, Any]
        try:
            answer = {"answer": await getattr(worker, name)(*arguments)}
        except LinqiError as error:
            code = getattr(error, "reason", None) or error.code
            answer = {"error": str(code), "detail": str(error)}
        print(json.dumps(answer), flush=True)
    await worker.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
