"""A rolling upgrade: workers of the release before and of this one, at work on one store.

The release before is read from the history of the repository, and runs from a folder of its own.
"""

import asyncio
import json
import os
import secrets
import subprocess
import sys
import tarfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import pytest

from test_store_init import database

ROOT: Final = Path(__file__).parent.parent
BEFORE: Final = "1624965"
"""The last commit of the release before."""

pytestmark = pytest.mark.distributed


@pytest.fixture(scope="module")
def old_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with the packages of the release before."""
    folder = tmp_path_factory.mktemp("before")
    made = subprocess.run(
        ["git", "archive", BEFORE, "middleware"],  # noqa: S607 - the one of the path
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"the history does not have {BEFORE}")
    with tarfile.open(fileobj=BytesIO(made.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "middleware"


class Release:
    """A worker process, to which commands are sent."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def __call__(self, name: str, *arguments: Any) -> Any:
        """Return the answer to a command, or the code of its error behind an exclamation mark."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps([name, *arguments]).encode() + b"\n")
        line = await asyncio.wait_for(stdout.readline(), 20)
        assert line, f"the worker ended at {name}"
        answer = json.loads(line)
        return answer["answer"] if "answer" in answer else f"!{answer['error']}"

    async def until_refused(self, token: str) -> None:
        """Wait until the worker refuses an access token, of whose end it must hear."""
        until = time.monotonic() + 30
        while (found := await self("verify", token)) != "!token_revoked":
            assert not found.startswith("!"), found
            assert time.monotonic() < until
            await asyncio.sleep(0.02)


@asynccontextmanager
async def working(code: Path, url: str) -> AsyncIterator[Release]:
    """Run a worker with the packages in `code`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).parent / "release_worker.py"),
        url,
        env={**os.environ, "PYTHONPATH": str(code)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Release(process)
        assert process.stdin is not None
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), 20) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@asynccontextmanager
async def store_of(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """Return the URL of an empty store."""
    if kind == "sqlite":
        yield f"sqlite:{tmp_path / 'sessions.db'}"
    elif kind == "valkey":
        yield request.getfixturevalue("valkey_url")
    else:
        async with database(request.getfixturevalue("postgres_dsn")) as (dsn, _):
            yield dsn


@pytest.mark.parametrize("kind", ["sqlite", "valkey", "postgres"])
def test_workers_of_both_releases_share_a_store(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, old_code: Path
) -> None:
    """``linqi store init`` of the new one beside old workers, and then all of them together.

    An old worker that starts again after it is among them: an upgrade can be stopped half way.
    """
    if kind != "sqlite":
        request.getfixturevalue("valkey_url" if kind == "valkey" else "postgres_dsn")
    asyncio.run(_upgrade(kind, request, tmp_path, old_code))


async def _upgrade(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, old_code: Path
) -> None:
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(store_of(kind, request, tmp_path))
        enter = stack.enter_async_context
        old = await enter(working(old_code, url))
        assert (await old("where")).startswith(str(old_code))
        await old("init")
        await old("start")
        first = await old("sign_in", "alice")
        new = await enter(working(ROOT / "middleware", url))
        assert (await new("where")).startswith(str(ROOT))
        assert await new("init") is None
        assert await new("start") is None
        await _changed_claims_stop_no_old_worker(old, new)
        again = await enter(working(old_code, url))
        assert await again("start") is None
        releases = [old, new, again]
        await _refreshes_cross(releases, first)
        await _revocations_cross(releases)
        await _reuse_is_found(releases)
        await _limits_hold(releases)
        for release in releases:
            assert await release("purge") is None


async def _changed_claims_stop_no_old_worker(old: Release, new: Release) -> None:
    """Refuse the token of before at the new one alone; the feed of the old one goes on."""
    _, token, access = await old("sign_in", "carol")
    session_id, _, other = await old("sign_in", "carol")
    assert await new("verify", access) == "carol"
    assert await new("outdate", "carol") is None
    assert await new("verify", access) == "!stale_claims"
    _, _, fresh = await new("refresh", token)
    assert await new("revoke", session_id)
    await old.until_refused(other)
    for release in (old, new):
        assert await release("verify", fresh) == "carol"
    assert await old("verify", access) == "carol"


async def _refreshes_cross(releases: Sequence[Release], first: Sequence[str]) -> None:
    """Redeem by turns: each token once, and its repetition by another gives the same."""
    token = first[1]
    for turn in range(9):
        here, there = releases[turn % 3], releases[(turn + 1) % 3]
        kind, following, access = await here("refresh", token)
        assert kind == "rotated"
        assert await there("verify", access) == "alice"
        assert (await there("refresh", token))[:2] == ["replayed", following]
        token = following


async def _revocations_cross(releases: Sequence[Release]) -> None:
    """Revoke one session or all of a user by either: all refuse, and the list is without them."""
    for turn in range(4):
        here, others = releases[turn % 2], [releases[1 - turn % 2], releases[2]]
        user = f"user-{secrets.token_hex(4)}"
        pairs = [await release("sign_in", user) for release in releases]
        ids = [pair[0] for pair in pairs]
        for release in releases:
            assert sorted(await release("list", user)) == sorted(ids)
        if turn < 2:
            assert await here("revoke", ids[turn])
            gone = [pairs[turn]]
        else:
            assert sorted(await here("revoke_all", user)) == sorted(ids)
            gone = pairs
        for session_id, token, access in gone:
            for release in others:
                await release.until_refused(access)
                assert await release("refresh", token) == "!revoked"
                assert session_id not in await release("list", user)


async def _reuse_is_found(releases: Sequence[Release]) -> None:
    """Present a spent token to either release: the session ends for both."""
    for here, there in (releases[:2], releases[1::-1]):
        _, token, _ = await here("sign_in", "mallory")
        _, second, _ = await there("refresh", token)
        _, third, access = await here("refresh", second)
        assert await there("refresh", token) == "!reused"
        assert await here("refresh", third) == "!revoked"
        await here.until_refused(access)


async def _limits_hold(releases: Sequence[Release]) -> None:
    """Sign in by turns: the oldest sessions give way, whichever release counts."""
    user = f"user-{secrets.token_hex(4)}"
    ids = []
    for turn in range(26):
        ids.append((await releases[turn % 3]("sign_in", user))[0])
        if turn % 10 == 9:
            await asyncio.sleep(1.1)  # old ones order by whole seconds
    lists = [await release("list", user) for release in releases]
    assert [len(one) for one in lists] == [20] * 3
    assert lists[0] == lists[2]
    assert sorted(lists[0]) == sorted(lists[1])
    assert ids[-1] in lists[0]
