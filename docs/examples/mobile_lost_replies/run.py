"""Plays phones that lose replies against three settings of rotation: ``python run.py``."""

import asyncio
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx2
from client import Offline, Phone, SignedOut
from network import Network, Server

PASSWORD = "correct horse"

HERE = Path(__file__).parent
GRACE = 3  # seconds, instead of 10: the story waits for its end
LONGER = GRACE + 1
KINDS = ("works", "loses a reply", "drives into a tunnel", "is killed")
EACH = 5  # phones of a kind
PATIENCE = 60  # seconds for an answer, as other programs may keep the machine busy

SETTINGS = {
    "strict: every spent token is theft": {"GRACE": "0", "RECOVER": "0"},
    "grace only": {"GRACE": str(GRACE), "RECOVER": "0"},
    "grace and recover (linqi.toml)": {"GRACE": str(GRACE), "RECOVER": "86400"},
}


def check(holds: bool, text: str) -> None:
    """Print what was seen, or end the story."""
    if not holds:
        raise SystemExit(f"FAILED: {text}")
    print(f"  ok  {text}", flush=True)


class Killed(BaseException):
    """The system ended the app."""


class KilledPhone(Phone):
    """An app that is ended after the reply arrived, and before it is on disk."""

    def save(self, held: dict[str, object]) -> None:
        """Do not come to it."""
        raise Killed


@dataclass
class Owner:
    """Somebody with a phone and a way to the server."""

    kind: str
    file: Path
    network: Network
    http: httpx2.AsyncClient

    def open_app(self, kind: type[Phone] = Phone) -> Phone:
        """Start the app: its memory is empty, so its first request refreshes."""
        return kind(self.network.url, self.file, self.http)

    async def live(self) -> bool:
        """Open the app, meet the fault, come back; return whether the session goes on."""
        if self.kind == "loses a reply":
            self.network.state = "lose"
        if self.kind == "drives into a tunnel":
            await self._lose_and_leave()
        if self.kind == "is killed":
            try:
                await self.open_app(KilledPhone).get("/feed")
            except Killed:
                await asyncio.sleep(LONGER)
        try:
            for _ in range(3):
                await self.open_app().get("/feed")
        except SignedOut:
            return False
        return True

    async def _lose_and_leave(self) -> None:
        """Lose the reply and every try after it, until after the grace."""
        self.network.state = "lose"

        async def enter() -> None:
            await self.network.lost.wait()
            self.network.state = "tunnel"

        entering = asyncio.create_task(enter())
        try:
            await self.open_app().get("/feed")
        except Offline:
            await asyncio.sleep(LONGER)
        await entering
        self.network.state = "pass"


async def fleet(folder: Path, data: Path, settings: dict[str, str]) -> dict[str, int]:
    """Let 20 phones live with one setting; return how many of each kind were signed out."""
    environ = {f"LINQI_SESSIONS__{name}_SECONDS": value for name, value in settings.items()}
    environ["LINQI_STORE__URL"] = f"sqlite:{data / 'sessions.db'}"
    async with AsyncExitStack() as running:
        server = await running.enter_async_context(Server(folder, **environ))
        limits = httpx2.Limits(max_keepalive_connections=0)
        http = httpx2.AsyncClient(limits=limits, timeout=PATIENCE)
        await running.enter_async_context(http)
        owners = []
        for number in range(EACH * len(KINDS)):
            network = await running.enter_async_context(Network(server))
            owner = Owner(KINDS[number % len(KINDS)], data / f"user-{number}.json", network, http)
            owners.append(owner)
        await asyncio.gather(
            *(each.open_app().sign_in(each.file.stem, PASSWORD) for each in owners)
        )
        stay = await asyncio.gather(*(owner.live() for owner in owners))
        gone = [owner.kind for owner, stays in zip(owners, stay, strict=True) if not stays]
        return {kind: gone.count(kind) for kind in KINDS}


async def lost_replies(folder: Path) -> None:
    """Compare the settings."""
    print(f"1. {EACH} phones each: {', '.join(KINDS)}. Signed out, of {EACH * len(KINDS)}:")
    fleets = (
        fleet(folder, folder / f"fleet-{number}", settings)
        for number, settings in enumerate(SETTINGS.values())
    )
    seen = dict(zip(SETTINGS, await asyncio.gather(*fleets), strict=True))
    for title, gone in seen.items():
        kinds = ", ".join(f"{count} {kind}" for kind, count in gone.items() if count)
        print(f"      {title:<36} {sum(gone.values()):>3}   {kinds}", flush=True)
    strict, grace, recover = seen.values()
    lost = dict.fromkeys(KINDS[1:], EACH)
    check(strict == {KINDS[0]: 0} | lost, "strict rotation signs out everyone who lost a reply")
    later = [grace[kind] for kind in KINDS]
    check(later[0] == 0 and later[2:] == [EACH] * 2, "a grace alone signs out who comes back later")
    if later[1]:  # test_story.py moves the clock instead, and is strict
        print(f"      {later[1]} retries took longer than {GRACE} s: this machine is too busy")
    check(not any(recover.values()), "grace and recover, as in linqi.toml, sign no one out")


async def a_real_kill(server: Server, folder: Path) -> None:
    """End a real process of client.py between the reply and the disk."""
    print("2. A process of client.py is ended between the reply and the write")
    file = folder / "killed.json"
    arguments = [server.url, str(file)]
    await _client(folder, *arguments, "carol", PASSWORD)
    before = file.read_bytes()
    ending = "import client, os; client.Phone.save = lambda *_: os._exit(9); "
    opening = "import asyncio, sys; asyncio.run(client.main(*sys.argv[1:]))"
    code = await _python(folder, "-c", ending + opening, *arguments)
    check(code == 9, "the process is gone, with exit code 9")
    check(file.read_bytes() == before, "the disk has the spent token")
    await asyncio.sleep(LONGER)
    check(await _client(folder, *arguments) == 0, f"{LONGER:g} s later it opens, signed in")


async def theft(server: Server, folder: Path) -> None:
    """Copy a phone's file, and use the copy early and late."""
    async with httpx2.AsyncClient(timeout=PATIENCE) as http:
        for alarms, title, phone_opens in (
            (1, "3. A thief copied the file of a phone, which went on", 2),
            (2, "4. A thief copied the file, and uses it before the phone does", 0),
        ):
            print(title)
            files = [folder / f"{phone_opens}-{name}.json" for name in ("phone", "thief")]
            await Phone(server.url, files[0], http).sign_in(f"dave-{phone_opens}", PASSWORD)
            shutil.copy(*files)

            async def opens(file: Path) -> bool:
                try:
                    await Phone(server.url, file, http).get("/feed")
                except SignedOut:
                    return False
                return True

            for _ in range(phone_opens):
                await opens(files[0])
            thief = await opens(files[1])
            if phone_opens:
                check(not thief, "the copy is refused: it was spent, and its successor was used")
            else:
                check(thief, "the copy is accepted: it cannot be told yet from the original")
                await opens(files[1])
                await asyncio.sleep(LONGER)
            check(not await opens(files[0]), "the phone must sign in again: the theft shows")
            check(not await opens(files[1]), "and the thief is out")
            logged = server.log.read_text().count("SECURITY refresh token reused")
            check(logged == alarms, "the server's log has the alarm: SECURITY refresh token reused")


async def _client(folder: Path, *arguments: str) -> int:
    return await _python(folder, "client.py", *arguments)


async def _python(folder: Path, *arguments: str) -> int:
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=folder, stdout=quiet
    )
    return await process.wait()


async def story(folder: Path) -> None:
    """Play all parts."""
    await lost_replies(folder)
    async with Server(folder, LINQI_SESSIONS__GRACE_SECONDS=str(GRACE)) as server:
        await a_real_kill(server, folder)
        await theft(server, folder)


def main() -> None:
    """Play the story in a folder of its own."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # kill ends the servers, too
    began = time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made:
        folder = Path(made) / "app"
        shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("__pycache__"))
        for arguments in ([], ["--alg", "HS256", "--out", "refresh.json"]):
            command = [sys.executable, "-m", "linqi", "keygen", *arguments]
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
        for number in range(len(SETTINGS)):
            (folder / f"fleet-{number}").mkdir()
        asyncio.run(story(folder))
    print(f"All of it as told, in {time.monotonic() - began:.0f} s.")


if __name__ == "__main__":
    main()
