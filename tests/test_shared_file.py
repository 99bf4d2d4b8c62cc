"""Processes of one machine that share one fetch."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from clock import FakeTime
from linqi import ConfigurationError, Snapshot
from linqi.errors import FetchFailed, InvalidKey, UnknownKey
from linqi.jwks.shared_file import SharedFile
from outside import Issuer, running, verifier_of


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    """Return a running issuer."""
    async with Issuer() as issuer:
        yield issuer


def ready_workers(url: str, count: int) -> int:
    """Wait until `count` workers are ready; return how many are."""
    pids: set[int] = set()
    for _ in range(1500):
        try:
            answer = httpx2.get(f"{url}/readyz", timeout=5)
        except httpx2.TransportError:
            continue
        if answer.status_code == 200:
            pids.add(answer.json()["pid"])
        if len(pids) == count:
            break
        time.sleep(0.005)
    return len(pids)


@pytest.mark.parametrize("is_shared", [False, True])
async def test_eight_workers_that_start_together(
    issuer: Issuer, is_shared: bool, tmp_path: Path
) -> None:
    """At most 8 fetches, and 1 with a shared folder; all serve tokens afterwards."""
    share = ["--share", str(tmp_path / "share")] if is_shared else []
    arguments = ["--issuer", issuer.url, "--workers", "8", *share]
    with running("linqi_storm.outside.resource", *arguments) as (url, _):
        ready = await asyncio.to_thread(ready_workers, url, 8)
        bearer = {"authorization": f"Bearer {issuer.token()}"}
        answers = [httpx2.get(f"{url}/me", headers=bearer).status_code for _ in range(16)]
        assert ready == 8
        assert set(answers) == {200}
        assert issuer.counts() == (1, 1) if is_shared else max(issuer.counts()) <= 8


async def test_a_refresh_by_one_is_taken_up_by_the_others(issuer: Issuer, tmp_path: Path) -> None:
    """Three processes over time: each refresh is requested from the issuer once."""
    times = FakeTime()
    sources = [issuer.keys(share=tmp_path / "s", **times.options) for _ in range(3)]
    for keys in sources:
        await keys.start()
    assert issuer.counts() == (1, 1)
    for _ in range(3):
        times.move(240)
        for keys in sources:
            for _ in range(6000):
                if keys.state().age is not None and keys.state().age < 1:  # type: ignore[operator]
                    break
                await asyncio.sleep(0.005)
            assert keys.state().age == 0
    assert issuer.counts() == (1, 4)
    assert sum(keys.state().requests for keys in sources) == 4


async def test_a_rotation_seen_by_one_reaches_the_others(issuer: Issuer, tmp_path: Path) -> None:
    """The second process finds the new key in the folder, without a request to the issuer."""
    one, two = (issuer.keys(share=tmp_path / "s") for _ in range(2))
    first, second = verifier_of(one), verifier_of(two)
    await one.start()
    await two.start()
    issuer.control("rotate")
    token = issuer.token()
    for verifier in (first, second):
        with pytest.raises(UnknownKey):
            verifier.verify(token)
        assert await verifier.fetch_key(token)
        verifier.verify(token)
    assert issuer.counts() == (1, 2)


async def test_a_failure_of_one_counts_for_all(issuer: Issuer, tmp_path: Path) -> None:
    """While the issuer is down, the processes together send as few requests as one."""
    issuer.fault("error")
    sources = [issuer.keys(share=tmp_path / "s") for _ in range(4)]
    await asyncio.gather(*[keys.start() for keys in sources])
    assert issuer.counts() == (1, 0)
    assert all(not keys.state().is_ready for keys in sources)


async def test_a_folder_that_others_may_write_is_not_trusted(tmp_path: Path) -> None:
    """A user who can write there could make forged tokens verify."""
    loose = tmp_path / "loose"
    loose.mkdir()
    loose.chmod(0o777)
    with pytest.raises(ConfigurationError, match="others may write to it"):
        SharedFile(loose, "https://id.example", wait_seconds=1)
    shared = SharedFile(tmp_path / "s", "https://id.example", wait_seconds=1)
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o700
    await shared.write(Snapshot(issuer="https://id.example", jwks="{}"))
    (file,) = (tmp_path / "s").glob("*.json")
    assert file.stat().st_mode & 0o777 == 0o600
    assert await shared.read() is not None
    file.chmod(0o666)
    assert await shared.read() is None
    assert "others may write to it" in shared.fault


async def test_a_snapshot_that_is_broken_or_anothers_is_ignored(tmp_path: Path) -> None:
    """The next response of the issuer replaces it."""
    shared = SharedFile(tmp_path / "s", "https://id.example", wait_seconds=1)
    assert await shared.read() is None
    await shared.write(Snapshot(issuer="https://id.example"))
    (file,) = (tmp_path / "s").glob("*.json")
    for text in ("{", "[]", '{"issuer": 7}', json.dumps({"issuer": "https://other.example"})):
        file.write_text(text)
        assert await shared.read() is None


async def test_sharing_that_cannot_be_done_is_only_noted(issuer: Issuer, tmp_path: Path) -> None:
    """With a full or removed folder the processes fetch separately; the keys stay usable."""
    folder = tmp_path / "s"
    keys = issuer.keys(share=folder)
    folder.rmdir()
    folder.write_text("not a folder")
    await keys.start()
    assert keys.state().is_ready
    assert "cannot" in keys.state().share_fault


async def test_a_process_that_holds_the_lock_for_too_long(tmp_path: Path) -> None:
    """The wait ends; the kernel releases the lock of a killed process."""
    one = SharedFile(tmp_path / "s", "https://id.example", wait_seconds=0.1)
    two = SharedFile(tmp_path / "s", "https://id.example", wait_seconds=0.1)
    async with one.turn():
        with pytest.raises(FetchFailed, match="another process"):
            async with two.turn():
                raise AssertionError
    async with two.turn():
        pass


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"issuer": "x", "more": 1}', '{"version": 2}'])
def test_a_snapshot_is_read_strictly(text: str) -> None:
    """`from_json` returns what `to_json` wrote and refuses everything else."""
    snapshot = Snapshot(issuer="https://id.example", jwks="{}", fetched_at=1.5)
    assert Snapshot.from_json(snapshot.to_json()) == snapshot
    with pytest.raises(InvalidKey):
        Snapshot.from_json(text)
    with pytest.raises(InvalidKey, match="version 9"):
        Snapshot.from_json('{"issuer": "x", "version": 9}')
