"""Honest clients, clients who sign out, and a thief; each writes down what it was answered."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import httpx2

from distributed.history import Operation
from distributed.worker import PASSWORD

ANSWER_SECONDS = 8.0
PROBED_SECONDS = 5.0
"""How long, at most, a client tries what it signed out, at all workers."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """What an answer gave."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    number: int
    session: str
    subject: str

    @classmethod
    def of(cls, answer: dict[str, Any]) -> Pair:
        """Read the answer to a sign-in or a refresh."""
        access = str(answer["access_token"])
        payload = access.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return cls(
            access=access,
            refresh=answer["refresh_token"],
            number=answer["sequence"],
            session=claims["sid"],
            subject=claims["sub"],
        )


class Recorder:
    """Sends the requests of all clients to the workers at `urls`, and writes them down."""

    def __init__(self, urls: Sequence[str]) -> None:
        self.urls = urls
        self.operations: list[Operation] = []
        self.is_over = False
        """Whether the clients are to end after what they are doing."""
        limits = httpx2.Limits(max_connections=400, max_keepalive_connections=400)
        self._http = httpx2.AsyncClient(timeout=ANSWER_SECONDS, limits=limits)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def sign_in(self, client: str, worker: int, subject: str) -> Pair | None:
        """Sign in; None if that failed."""
        form = {"username": subject, "password": PASSWORD}
        return (await self._send(client, "login", worker, form, None, subject))[1]

    async def refresh(self, client: str, worker: int, pair: Pair) -> tuple[Operation, Pair | None]:
        """Present a refresh token."""
        form = {"refresh_token": pair.refresh}
        return await self._send(client, "refresh", worker, form, pair, pair.subject)

    async def sign_out(self, client: str, worker: int, pair: Pair, kind: str) -> Operation:
        """Sign one session out (``logout``), or all of the subject (``logout-all``)."""
        form = {"refresh_token": pair.refresh} if kind == "logout" else {}
        return (await self._send(client, kind, worker, form, pair, pair.subject))[0]

    async def access(self, client: str, worker: int, pair: Pair) -> Operation:
        """Make a request with the access token."""
        return (await self._send(client, "access", worker, None, pair, pair.subject))[0]

    async def _send(
        self,
        client: str,
        kind: str,
        worker: int,
        form: dict[str, str] | None,
        pair: Pair | None,
        subject: str,
    ) -> tuple[Operation, Pair | None]:
        is_bearer = pair is not None and kind in ("access", "logout-all")
        headers = {"authorization": f"Bearer {pair.access}"} if pair and is_bearer else {}
        url, method = f"{self.urls[worker]}/{kind}", "GET" if form is None else "POST"
        began, status, outcome, given = time.monotonic(), 0, "", None
        with contextlib.suppress(httpx2.TransportError):
            response = await self._http.request(method, url, json=form, headers=headers)
            status = response.status_code
            outcome = response.headers.get("x-refresh-outcome", "")
            if status == 200 and kind in ("login", "refresh"):
                given = Pair.of(response.json())
        named = given or pair
        done = Operation(
            client=client,
            kind=kind,
            worker=worker,
            began=began,
            ended=time.monotonic(),
            status=status,
            outcome=outcome,
            session=named.session if named else "",
            subject=subject,
            presented=pair.number if pair else -1,
            given=given.number if given else -1,
            token=hashlib.sha256(given.refresh.encode()).hexdigest()[:12] if given else "",
        )
        self.operations.append(done)
        return done, given


class Client:
    """Someone with a session, at any worker each time."""

    kind: ClassVar[str] = "honest"

    def __init__(self, number: int, recorder: Recorder, pause: float) -> None:
        self.name = f"{self.kind}-{number}"
        self.recorder = recorder
        self.pause = pause
        self.rng = random.Random(self.name)
        self.pair: Pair | None = None

    @property
    def worker(self) -> int:
        """Some worker."""
        return self.rng.randrange(len(self.recorder.urls))

    async def sign_in(self) -> Pair:
        """Sign in, until it is answered."""
        while True:
            pair = await self.recorder.sign_in(self.name, self.worker, self.name)
            if pair is not None:
                self.pair = pair
                return pair
            await asyncio.sleep(self.pause)

    async def refresh(self) -> Operation:
        """Present what is held, once, and keep the newer of it and the answer."""
        assert self.pair is not None
        done, given = await self.recorder.refresh(self.name, self.worker, self.pair)
        if given is not None and given.number >= self.pair.number:
            self.pair = given
        return done

    async def live(self) -> None:
        """Refresh and make requests; after a sign-out, sign in again."""
        while not self.recorder.is_over:
            await asyncio.sleep(self.pause * self.rng.uniform(0.5, 1.5))
            if self.pair is None:
                await self.sign_in()
            assert self.pair is not None
            if self.rng.random() < 0.3:
                await self.recorder.access(self.name, self.worker, self.pair)
            if (await self.refresh()).status in (400, 401):
                self.pair = None


class Leaver(Client):
    """Signs in, refreshes, signs out, and then tries everywhere whether that is so."""

    kind = "leaver"

    def __init__(self, number: int, recorder: Recorder, pause: float) -> None:
        super().__init__(number, recorder, pause)
        self.way = "logout" if number % 2 else "logout-all"
        self.left: list[Pair] = []

    async def live(self) -> None:
        """Do so again and again."""
        while not self.recorder.is_over:
            other = await self.sign_in() if self.way == "logout-all" else None
            await self.sign_in()
            for _ in range(2):
                await asyncio.sleep(self.pause * self.rng.random())
                await self.refresh()
            assert self.pair is not None
            await self._leave(self.pair)
            ended = [self.pair, *([other] if other else [])]
            self.left += ended
            until, turn = time.monotonic() + PROBED_SECONDS * self.rng.random(), 0
            while time.monotonic() < until:
                await self.probe(ended[turn % len(ended)], turn)
                await asyncio.sleep(self.pause / 2)
                turn += 1

    async def _leave(self, pair: Pair) -> None:
        for _ in range(100):
            done = await self.recorder.sign_out(self.name, self.worker, pair, self.way)
            # 401: an earlier attempt, whose answer was lost, signed out.
            if done.status in (200, 204, 400, 401):
                return
            await asyncio.sleep(self.pause)

    async def probe(self, pair: Pair, turn: int) -> None:
        """Try a session that was signed out."""
        await self.recorder.access(self.name, turn % len(self.recorder.urls), pair)
        if turn % 3 == 0:
            await self.recorder.refresh(self.name, self.worker, pair)


class Victim(Client):
    """A client who is robbed."""

    kind = "victim"


class Thief:
    """Copies a refresh token, and presents it as soon as its owner has gone on from it."""

    def __init__(self, recorder: Recorder, victims: Sequence[Victim], pause: float) -> None:
        self.recorder = recorder
        self.victims = victims
        self.pause = pause
        self.rng = random.Random("thief")

    async def live(self) -> None:
        """Rob one after the other."""
        turn = 0
        while not self.recorder.is_over:
            turn += 1
            victim = self.victims[turn % len(self.victims)]
            stolen = victim.pair
            if stolen is None or not await self._is_spent(stolen):
                await asyncio.sleep(self.pause)
                continue
            for _ in range(100):
                worker = self.rng.randrange(len(self.recorder.urls))
                done, _ = await self.recorder.refresh("thief", worker, stolen)
                if done.status in (200, 400, 401):
                    break
                await asyncio.sleep(self.pause)

    async def _is_spent(self, stolen: Pair) -> bool:
        """Wait until the owner redeemed a later token than `stolen`, and was told so."""
        for _ in range(200):
            for done in reversed(self.recorder.operations[-2000:]):
                if done.session == stolen.session and done.kind == "refresh":
                    if done.status in (400, 401):
                        return False
                    if done.status == 200 and done.presented > stolen.number:
                        return True
            await asyncio.sleep(0.02)
        return False
