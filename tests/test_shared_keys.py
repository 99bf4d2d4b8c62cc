"""One source of keys in several issuers and middlewares: fetched, checked and reported once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from linqi import JWTMiddleware, Key, KeyFile, KeySet, RemoteKeys, TrustedIssuer, Verifier
from linqi._reference_count import ReferenceCount
from linqi.config import build, load
from linqi.events import Event, KeyFileRead, KeysRefreshed
from linqi_storm.outside.issuer import AUDIENCE
from outside import Issuer


def trusting(keys: RemoteKeys, *issuers: str) -> Verifier:
    """Return a verifier that trusts several issuers with the same keys."""
    return Verifier(
        [
            TrustedIssuer(issuer=name, audience=AUDIENCE, keys=keys, algorithms=keys.algorithms)
            for name in issuers
        ]
    )


@asynccontextmanager
async def running(app: Any) -> AsyncIterator[None]:
    """Run an application from its start-up to its shutdown."""
    to_app: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    from_app: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    task = asyncio.create_task(app({"type": "lifespan"}, to_app.get, from_app.put))
    for name in ("startup", "shutdown"):
        await to_app.put({"type": f"lifespan.{name}"})
        assert (await from_app.get())["type"] == f"lifespan.{name}.complete"
        if name == "startup":
            yield
    await task


async def lifespan_app(scope: Any, receive: Any, send: Any) -> None:
    """Answer start-up and shutdown."""
    for _ in range(2):
        name = (await receive())["type"]
        await send({"type": f"{name}.complete"})


def tasks(name: str) -> list[str]:
    """Return the names of running background tasks that contain `name`."""
    running = [task.get_name() for task in asyncio.all_tasks() if not task.done()]
    return [found for found in running if name in found]


async def test_keys_of_two_issuers_are_fetched_and_told_of_once() -> None:
    """Also if they are listed as a service, too."""
    events = list[Event]()
    async with Issuer() as issuer:
        keys = issuer.keys()
        verifier = trusting(keys, issuer.url, "https://second.example")
        app = JWTMiddleware(lifespan_app, verifier, hooks=[events.append], services=[keys])
        async with running(app):
            assert len(tasks("keys of")) == 1
            token = issuer.token()
            assert verifier.verify(token).issuer == issuer.url
        assert [type(event) for event in events] == [KeysRefreshed]
        assert issuer.counts() == (1, 1)
        assert tasks("keys of") == []


@pytest.mark.parametrize("first_to_end", [0, 1])
async def test_keys_of_two_middlewares_are_kept_until_the_last_ends(first_to_end: int) -> None:
    """One fetch, one task, each event once; the shutdown of one does not stop the other."""
    events = list[Event]()
    async with Issuer() as issuer:
        keys = issuer.keys()
        apps = [
            JWTMiddleware(lifespan_app, trusting(keys, name), hooks=[events.append])
            for name in (issuer.url, "https://second.example")
        ]
        contexts = [running(app) for app in apps]
        for context in contexts:
            await context.__aenter__()
        assert len(tasks("keys of")) == 1
        await contexts[first_to_end].__aexit__(None, None, None)
        assert len(tasks("keys of")) == 1
        await contexts[1 - first_to_end].__aexit__(None, None, None)
        assert tasks("keys of") == []
        assert [type(event) for event in events] == [KeysRefreshed]
        assert issuer.counts() == (1, 1)


async def test_one_middleware_inside_another_shares_its_keys() -> None:
    """A part of the application is protected a second time with the same issuer."""
    events = list[Event]()
    async with Issuer() as issuer:
        keys = issuer.keys()
        inner = JWTMiddleware(lifespan_app, trusting(keys, issuer.url), hooks=[events.append])
        outer = JWTMiddleware(inner, trusting(keys, issuer.url), hooks=[events.append])
        async with running(outer):
            assert len(tasks("keys of")) == 1
        assert tasks("keys of") == []
        assert len(events) == 1


async def test_a_key_file_of_two_middlewares_is_followed_once(tmp_path: Path) -> None:
    """It is read once and reported once to each hook, until the last middleware ends."""
    path, events = tmp_path / "keys.json", list[Event]()
    KeySet([Key.generate("ES256", kid="a")]).save(path)
    file = KeyFile(path)
    verifier = Verifier(
        [
            TrustedIssuer(issuer=name, audience="api", keys=file.keys, algorithms=["ES256"])
            for name in ("https://one.example", "https://two.example")
        ]
    )
    apps = [
        JWTMiddleware(lifespan_app, verifier, hooks=[events.append], services=[file, file])
        for _ in range(2)
    ]
    async with running(apps[0]):
        async with running(apps[1]):
            assert len(tasks("follower of")) == 1
        assert len(tasks("follower of")) == 1
        KeySet([Key.generate("ES256", kid="b")]).save(path)
        await file.read()
    assert tasks("follower of") == []
    assert [type(event) for event in events] == [KeyFileRead]


def test_two_configured_issuers_with_one_key_file_follow_it_once(tmp_path: Path) -> None:
    """The same file with the same algorithms is one source; with others it is another."""
    KeySet([Key.generate("ES256").public_half()]).save(tmp_path / "jwks.json")
    tables = "".join(
        f'[[issuers]]\nissuer = "https://{name}.example"\nalgorithms = {algorithms}\n'
        'audience = ["api"]\nkeys_file = "jwks.json"\n'
        for name, algorithms in (
            ("one", '["ES256"]'),
            ("two", '["ES256"]'),
            ("three", '["ES256", "RS256"]'),
        )
    )
    (tmp_path / "linqi.toml").write_text(tables)
    components = build(load(tmp_path / "linqi.toml", {}), environ={})
    files = [service for service in components.services if isinstance(service, KeyFile)]
    assert len(files) == 2
    sources: Sequence[TrustedIssuer] = components.verifier.issuers
    assert sources[0].keys is sources[1].keys is not sources[2].keys


def test_holders_of_one_event_loop_are_none_of_another() -> None:
    """A loop that ended without a close does not keep the count of the next loop up."""
    count = ReferenceCount()

    async def enter() -> None:
        count.acquire()

    async def enter_and_leave() -> bool:
        count.acquire()
        return count.release()

    async def leave() -> bool:
        return count.release()

    asyncio.run(enter())
    assert asyncio.run(leave()), "it is not held here"
    assert asyncio.run(enter_and_leave()), "the first counts no more"
