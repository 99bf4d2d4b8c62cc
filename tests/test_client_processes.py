"""The Python client after ``fork``, and under gevent's monkey patching."""

import subprocess
import sys

from signed_in import login

FORKED = """
import os, sys, threading
import httpx2
from linqi.client.httpx2 import RefreshingAuth
from linqi.client.tokens import ClientTokens
server, access_token, refresh_token = sys.argv[1:]
parent, is_over, begins = os.getpid(), threading.Event(), threading.Event()

def make_client():
    if os.getpid() == parent:  # the parent's renewal goes on for as long as the child lives
        begins.set()
        is_over.wait()
    return httpx2.AsyncClient()

tokens = ClientTokens(access_token=access_token, refresh_token=refresh_token)
auth = RefreshingAuth(f"{server}/refresh", tokens, make_client=make_client)
plan = auth.renewal.plan(refused=access_token)
threading.Thread(target=auth._execute, args=(plan,)).start()
begins.wait()
held = threading.Thread(target=lambda: (auth.renewal._lock.acquire(), begins.clear(),
                                        is_over.wait(), auth.renewal._lock.release()))
held.start()
while begins.is_set():
    pass
child = os.fork()
if child == 0:
    auth.renewal.mark_refused(access_token)
    with httpx2.Client(base_url=server, auth=auth) as client:
        print(client.get("/me").status_code, auth.renewal.renewals, flush=True)
    os._exit(0)
_, status = os.waitpid(child, 0)
is_over.set()
held.join()
os._exit(os.waitstatus_to_exitcode(status))
"""


def test_a_child_after_fork_renews_without_its_parents_threads(dual_server: str) -> None:
    """The child is not blocked by a lock or a renewal of a thread of its parent.

    Without the handler of ``fork`` it would wait for that lock for ever.
    """
    tokens = login(dual_server)
    command = [sys.executable, "-c", FORKED, dual_server, tokens.access_token, tokens.refresh_token]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["200", "1"], done.stderr


GEVENT = """
from gevent import monkey
monkey.patch_all()
import asyncio, sys, time
import gevent, gevent.event, httpx
from linqi.client.httpx import RefreshingAuth
from linqi.client.tokens import ClientTokens
from linqi.errors import Unavailable
server, access_token, refresh_token = sys.argv[1:]
tokens = ClientTokens(access_token=access_token, refresh_token=refresh_token)
auth = RefreshingAuth(f"{server}/refresh", tokens)
with httpx.Client(base_url=server, auth=auth) as client:
    print(client.get("/me").status_code)
    # While another greenlet runs an event loop, asyncio.run raises in this thread.
    begun, is_over = gevent.event.Event(), gevent.event.Event()

    async def wait():
        begun.set()
        while not is_over.is_set():
            await asyncio.sleep(0.05)

    other = gevent.spawn(asyncio.run, wait())
    begun.wait()
    auth.renewal.mark_refused(access_token)
    began = time.monotonic()
    try:
        client.get("/me")
    except Unavailable as error:
        print("Unavailable", error.retry_after <= 1, time.monotonic() - began < 10)
    is_over.set()
    other.join()
    auth.renewal._backoff.retry_at = 0
    print(client.get("/me").status_code, auth.renewal.renewals)
"""


def test_under_gevent_a_renewal_that_raises_settles_at_once(dual_server: str) -> None:
    """The waiter gets the error at once instead of after 30 s; the next renewal succeeds."""
    tokens = login(dual_server)
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", GEVENT]
    command += [dual_server, tokens.access_token, tokens.refresh_token]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout.splitlines() == ["200", "Unavailable True True", "200 1"], done.stderr
