"""Plays the app behind nginx over HTTPS, as a browser would send it: ``python run.py``."""

import contextlib
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import httpx2
from servers import PATIENCE, Site, serving
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

ALICE = {"username": "alice", "password": "correct horse"}


def check(holds: bool, text: str) -> None:
    """Print what was seen, or end the story."""
    if not holds:
        raise SystemExit(f"FAILED: {text}")
    print(f"  ok  {text}", flush=True)


class Tab:
    """A page of the app: an access token in memory, cookies in the browser's jar."""

    def __init__(self, site: Site) -> None:
        headers = {"Origin": site.url, "Sec-Fetch-Site": "same-origin"}
        self.http = httpx2.Client(base_url=site.url, verify=site.tls, headers=headers)
        self.http.timeout = PATIENCE
        self.token = ""

    def post(self, path: str, **fields: object) -> httpx2.Response:
        """Post to a session route, with the refresh token in its cookie."""
        answer = self.http.post(path, headers={"X-Token-Delivery": "cookie"}, **fields)
        if answer.is_success and answer.content:
            self.token = answer.json()["access_token"]
        return answer

    def get(self, path: str) -> httpx2.Response:
        """Send a request with the access token."""
        return self.http.get(path, headers={"Authorization": f"Bearer {self.token}"})


def story(site: Site) -> None:
    """Walk through the app."""
    tab = Tab(site)
    page(tab)
    sign_in(tab)
    streams(site, tab)
    restart(site, tab)
    sign_out(site, tab)
    guesses(site)


def page(tab: Tab) -> None:
    """Load the files."""
    print("1. nginx serves the page")
    files = [tab.http.get(path) for path in ("/", "/app.js", "/js/linqi.js")]
    check([each.status_code for each in files] == [200] * 3, "index.html, app.js and linqi.js")
    policies = {each.headers["Content-Security-Policy"] for each in files}
    check(all("default-src 'self'" in each for each in policies), "with a policy against scripts")
    check(tab.http.get("/api/notes").status_code == 401, "the API answers 401 without a token")


def sign_in(tab: Tab) -> None:
    """Sign in, and look at what a script of the page could read."""
    print("2. alice signs in")
    answer = tab.post("/auth/login", json=ALICE)
    cookie = next(
        c for c in answer.headers.get_list("set-cookie") if c.startswith("__Host-refresh=")
    )
    marks = {mark.strip() for mark in cookie.split(";")[1:]}
    check(
        {"HttpOnly", "Secure", "SameSite=Strict"} <= marks, "the cookie: HttpOnly, Secure, Strict"
    )
    check(
        "refresh_token" not in answer.json(), "the body has the access token and no refresh token"
    )
    check(tab.get("/api/notes").json()["notes"] == ["buy tea"], "the API knows her")
    answer = tab.post("/auth/refresh")
    check(answer.headers["Cache-Control"] == "no-store", "a refresh, kept out of every cache")
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    refused = tab.http.post("/auth/refresh", headers=foreign | {"X-Token-Delivery": "cookie"})
    check(refused.status_code == 400, "a page of another site cannot use the cookie")


def streams(site: Site, tab: Tab) -> None:
    """Read events as they are made, and talk through a socket."""
    print("3. Events and sockets pass nginx at once")
    headers = {"Authorization": f"Bearer {tab.token}"}
    arrived = one_by_one = 0.0
    with (
        contextlib.suppress(httpx2.ReadTimeout),
        tab.http.stream("GET", "/api/events", headers=headers) as response,
    ):
        lines = (line for line in response.iter_lines() if line.startswith("data"))
        for _ in islice(lines, 30):  # a program that gets no time reads late ones together
            arrived, before = time.monotonic(), arrived
            one_by_one += 0 < before < arrived - 0.5
            if one_by_one == 2:
                break
    check(one_by_one == 2, "events one by one, not in one piece")
    with connected(site, tab) as socket:
        socket.send("hello")
        answer = socket.recv(PATIENCE)
    check(answer == "alice: hello", "a WebSocket, with the token as a subprotocol")


def restart(site: Site, tab: Tab) -> None:
    """Restart one worker after the other while the page goes on."""
    print("4. One worker is restarted, then the other")
    statuses, going = Counter[int](), threading.Event()

    def browse() -> None:
        while not going.is_set():
            statuses[tab.get("/api/notes").status_code] += 1
            answer = tab.post("/auth/refresh")
            if answer.status_code == 502:  # a worker stopped with it: linqi.js asks again, too
                answer = tab.post("/auth/refresh")
            statuses[answer.status_code] += 1
            time.sleep(0.02)

    with ThreadPoolExecutor() as threads:
        page = threads.submit(browse)
        try:
            for worker in site.workers:
                worker.stop()
                worker.start()
        finally:
            going.set()
        page.result()
    check([*statuses] == [200], f"requests and refreshes meanwhile, by status: {dict(statuses)}")


def sign_out(site: Site, tab: Tab) -> None:
    """Sign out; copies of both tokens are worth nothing."""
    print("5. alice signs out")
    cookies = dict(tab.http.cookies)
    with connected(site, tab) as socket:
        check(tab.post("/auth/logout").status_code == 204, "the session is over")
        code = None
        with contextlib.suppress(TimeoutError):
            try:
                socket.recv(PATIENCE)
            except ConnectionClosed as closed:
                code = closed.rcvd and closed.rcvd.code
        check(code == 4401, "an open socket: 4401")
    seen, until = {200}, time.monotonic() + PATIENCE
    while seen != {401} and time.monotonic() < until:
        time.sleep(0.1)
        seen = {tab.get("/api/notes").status_code for _ in range(4)}  # of both workers
    check(seen == {401}, "a copy of the access token is refused by both workers")
    tab.http.cookies.update(cookies)
    check(tab.post("/auth/refresh").status_code == 400, "a copy of the cookie is refused, too")


def guesses(site: Site) -> None:
    """Guess passwords, each time with another forged address."""
    print("6. A stranger guesses bob's password, and forges the address each time")
    tab, statuses = Tab(site), []
    for number in range(7):
        tab.http.headers["X-Forwarded-For"] = f"203.0.113.{number}"
        guess = {"username": "bob", "password": f"guess {number}"}
        statuses.append(tab.post("/auth/login", json=guess).status_code)
    check(statuses == [400] * 5 + [429] * 2, f"answers: {statuses}; nginx names the true address")


def connected(site: Site, tab: Tab) -> ClientConnection:
    """Open the WebSocket with the token of a page."""
    url, protocols = f"wss{site.url.removeprefix('https')}/api/socket", ["bearer", tab.token]
    return connect(url, ssl=site.tls, subprotocols=protocols, open_timeout=PATIENCE)


def main() -> None:
    """Play the story."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # kill ends the servers, too
    began = time.monotonic()
    with serving() as site:
        story(site)
    print(f"All of it as told, in {time.monotonic() - began:.0f} s.")


if __name__ == "__main__":
    main()
