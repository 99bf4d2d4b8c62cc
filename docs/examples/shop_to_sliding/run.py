"""Plays the move of the shop on real servers: ``python run.py``."""

import asyncio
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import jwt
from accounts import ACCOUNTS, DEMO_PASSWORD
from servers import PATIENCE, Balancer, Worker

from linqi.config import load

HERE = Path(__file__).parent


def check(holds: bool, text: str) -> None:
    """Print what was seen, or end the story."""
    if not holds:
        raise SystemExit(f"FAILED: {text}")
    print(f"  ok  {text}", flush=True)


class Customer:
    """The page in one customer's browser."""

    def __init__(self, name: str, http: httpx2.AsyncClient) -> None:
        self.name, self.token, self.moved = name, "", asyncio.Event()
        self._http = http

    async def sign_in(self, site: str) -> None:
        """Type the password."""
        form = {"username": self.name, "password": DEMO_PASSWORD}
        answer = await self._http.post(f"{site}/login", data=form)
        self.token = answer.raise_for_status().json()["access_token"]

    def copy(self, token: str = "") -> "Customer":
        """Return another client of the same customer, with a copy of a token."""
        other = Customer(self.name, self._http)
        other.token = token or self.token
        return other

    async def request(self, url: str, method: str = "GET") -> int:
        """Send a request with the token; a successor takes its place."""
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = await self._http.request(method, url, headers=headers)
        if successor := answer.headers.get("X-Refresh-Token"):
            self.token = successor
            self.moved.set()
        return answer.status_code


class Shoppers:
    """All customers, who look into their baskets while the story goes on."""

    def __init__(self, customers: list[Customer], site: str) -> None:
        self.statuses = Counter[int]()
        self._customers, self._site, self._go_on = customers, site, True

    async def __aenter__(self) -> "Shoppers":
        """Begin; each customer looks about once a second."""
        self._all = asyncio.gather(*(self._shop(each) for each in self._customers))
        return self

    async def __aexit__(self, *error: object) -> None:
        """Let each finish the request under way."""
        self._go_on = False
        await self._all

    async def _shop(self, customer: Customer) -> None:
        while self._go_on:
            self.statuses[await customer.request(f"{self._site}/basket")] += 1
            await asyncio.sleep(0.8 + secrets.randbelow(400) / 1000)


async def story(folder: Path) -> None:
    """Move the shop."""
    limits = httpx2.Limits(max_keepalive_connections=0)  # a connection for each request
    http = httpx2.AsyncClient(limits=limits, timeout=PATIENCE)
    until = datetime.now(UTC) + timedelta(days=30)  # so that the story can be played after 2027
    environ = {"SECRET_KEY": secrets.token_hex(32), "LINQI_BRIDGE__UNTIL": until.isoformat()}
    old = [Worker("before:app", folder, environ) for _ in range(2)]
    new = [Worker("after:app", folder, dict(environ)) for _ in range(2)]
    balancer = Balancer(old)
    try:
        await asyncio.gather(balancer.start(), *(each.start() for each in old))
        customers = [Customer(name, http) for name in ACCOUNTS]
        await the_old_shop(balancer, customers)
        await asyncio.gather(*(each.start() for each in new))
        old_tokens = {each.name: each.token for each in customers}
        seconds = await the_switch(balancer, old, new, customers)
        await the_theft(balancer, new, customers[0], old_tokens["alice"])
        the_renewals_are_spread(customers)
        await the_last_day(balancer, new[0], customers[1:], old_tokens["eve"], seconds)
    finally:
        await asyncio.gather(http.aclose(), balancer.stop(), *(each.stop() for each in old + new))


async def the_old_shop(balancer: Balancer, customers: list[Customer]) -> None:
    """Sign everyone in, and show what the old shop cannot do."""
    print("1. The shop as it was: before.py, two workers")
    await asyncio.gather(*(each.sign_in(balancer.url) for each in customers))
    check(True, f"{len(customers)} customers signed in with the password, tokens of 24 h")
    eve = customers[2]
    await eve.request(f"{balancer.url}/logout", "POST")
    again = await eve.request(f"{balancer.url}/basket")
    check(again == 200, "signing out changes nothing: a copy of the token still opens the basket")


async def the_switch(
    balancer: Balancer, old: list[Worker], new: list[Worker], customers: list[Customer]
) -> float:
    """Change over to the new workers; return the seconds that a restart takes."""
    print("2. The switch to after.py, while all customers go on")
    probe = customers[0].copy()
    await probe.request(f"{new[0].url}/basket")
    status = await probe.request(f"{old[0].url}/basket")
    check(status == 401, "an old worker refuses a new token: change over at once")

    tab = customers[1].copy()
    async with Shoppers(customers, balancer.url) as shoppers:
        await asyncio.sleep(1)
        began = time.monotonic()
        balancer.workers = [*new]
        for each in customers:
            await asyncio.wait_for(each.moved.wait(), PATIENCE)
        took = time.monotonic() - began
        check(True, f"{len(customers)} old tokens were answered with successors in {took:.1f} s")
        await asyncio.gather(*(balancer.drain(each) for each in old))
        await asyncio.gather(*(each.stop() for each in old))
        began = time.monotonic()
        for worker in new:  # later restarts of the new shop may go one by one
            await restart(worker, balancer)
        seconds = (time.monotonic() - began) / len(new)
    seen = dict(shoppers.statuses)
    check([*seen] == [200], f"requests during the switch and a rolling restart, by status: {seen}")

    await tab.request(f"{balancer.url}/basket")
    same = claims_of(tab)["sid"] == claims_of(customers[1])["sid"]
    check(same, "a second tab with the old token comes into the same session")
    return seconds


async def the_theft(balancer: Balancer, new: list[Worker], alice: Customer, old_token: str) -> None:
    """Sign alice out; somebody has copies of both of her tokens."""
    print("3. Somebody copied alice's old token, and her new one; then she signs out")
    stolen = [alice.copy(old_token), alice.copy()]
    opened = [await each.request(f"{balancer.url}/basket") for each in stolen]
    check(opened == [200, 200], "before, both copies open her basket")
    stolen[0].token = old_token  # a thief keeps it, too
    check(await alice.request(f"{balancer.url}/logout", "POST") == 204, "alice signs out")
    began = time.monotonic()
    while time.monotonic() - began < PATIENCE:
        opened = [await copy.request(f"{w.url}/basket") for copy in stolen for w in new]
        if opened == [401] * 4:
            break
        stolen[0].token = old_token
    took = time.monotonic() - began
    check(opened == [401] * 4, f"both copies are refused by both workers, within {took:.2f} s")


def the_renewals_are_spread(customers: list[Customer]) -> None:
    """Look when the tokens are due that all customers got within the same seconds."""
    print("4. All customers moved at once; when will they renew?")
    settings = load(HERE / "linqi.toml").renewal.settings()
    due = [settings.due_at(c["sid"], c["iat"], c["exp"]) for c in map(claims_of, customers)]
    hours = Counter(int(instant - min(due)) // 3600 for instant in due)
    busiest = max(hours.values())
    check(
        busiest < len(due) / 2,
        f"over the next {(max(due) - time.time()) / 3600:.1f} h, at most {busiest} of {len(due)}"
        " in the same hour; a plain threshold has them all in the same seconds",
    )


async def the_last_day(
    balancer: Balancer, worker: Worker, customers: list[Customer], old_token: str, seconds: float
) -> None:
    """Let the date of the bridge pass at one worker, which restarts in about `seconds`."""
    print("5. The date `until` of [bridge] passes")
    closed = customers[1].copy(old_token)  # a browser that was closed all the time
    for times in (2, 6, 18):  # a restart may take longer than the last ones: then a later date
        ends = datetime.now(UTC) + timedelta(seconds=times * seconds + 1)
        worker.environ["LINQI_BRIDGE__UNTIL"] = ends.isoformat()
        await restart(worker, balancer)
        balancer.workers = [worker]
        closed.token = old_token
        status = await closed.request(f"{balancer.url}/basket")
        if datetime.now(UTC) < ends:
            break
    check(status == 200, "before it, an old token is accepted")
    await asyncio.sleep(max(0.0, ends.timestamp() - time.time()) + 0.1)
    closed.token = old_token
    status = await closed.request(f"{balancer.url}/basket")
    check(status == 401, "from then on it is refused, without a restart")
    statuses = Counter([await each.request(f"{balancer.url}/basket") for each in customers])
    check([*statuses] == [200], f"the other {statuses[200]} customers, who moved, are signed in")


async def restart(worker: Worker, balancer: Balancer) -> None:
    """Restart a worker behind the balancer."""
    balancer.workers.remove(worker)
    await balancer.drain(worker)
    await worker.stop()
    await worker.start()
    balancer.workers.append(worker)


def claims_of(customer: Customer) -> dict[str, Any]:
    """Read a token without verifying it, as only a story may."""
    return jwt.decode(customer.token, options={"verify_signature": False})


def main() -> None:
    """Play the story in a folder of its own."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # kill ends the servers, too
    began = time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made:
        folder = Path(made) / "shop"
        shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("__pycache__"))
        for arguments in ([], ["--alg", "HS256", "--out", "refresh.json"]):
            command = [sys.executable, "-m", "linqi", "keygen", *arguments]
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
        asyncio.run(story(folder))
    print(f"All of it as told, in {time.monotonic() - began:.0f} s.")


if __name__ == "__main__":
    main()
