"""What a late generator is no witness of: requests are judged by when they were sent."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from linqi_storm.clients.client_session import Tally
from linqi_storm.clients.driver import Driver
from linqi_storm.clients.load_counts import LoadRecorder
from linqi_storm.scenarios.base import Scenario
from linqi_storm.scenarios.forged_tokens import Forger
from linqi_storm.schema.generator_plan import Credential, GeneratorPlan
from linqi_storm.schema.load import StormLoad
from linqi_storm.schema.violations import EXPIRED

LATE_SECONDS = 6.0
EXPIRES_AT = 3.0


class OnePage(Scenario):
    """One page, due a second after the barrier: within the life of every token."""

    name = "one-page"
    summary = "one page"

    def first_due(self, index: int, rng: object) -> float:
        """Return the second at which the page is due."""
        return 1.0

    def gap(self, index: int, rng: object) -> float:
        """Return a pause that ends after the run."""
        return 1e6


class NoLogin:
    """A login that fails, so that no session begins again."""

    path = ""

    def sign_in(self) -> Credential:
        """Raise `TimeoutError`."""
        raise TimeoutError


@contextmanager
def answering(status: int) -> Iterator[str]:
    """Answer every request with `status`; yield the URL."""

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Answer with the status and an empty body."""
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def driven_late(status: int) -> tuple[Tally, LoadRecorder]:
    """Send one page 5 seconds after it was due, and 3 after its token expired."""
    load = StormLoad(sessions=1, lifetime=5, buffer=2.4, duration=5, gap=1, pages=False)
    begins_at = time.time() - LATE_SECONDS
    with answering(status) as url:
        plan = GeneratorPlan(
            scenario="one-page", url=url, mode="sliding", load=load, begins_at=begins_at, timeout=2
        )
        recorder = LoadRecorder()
        driver = Driver(plan, OnePage(load), NoLogin(), recorder, forger=Forger(), share=0.0)
        driver.add_clients(0, [Credential(token="a.b.c", expires_at=begins_at + EXPIRES_AT)])
        driver.drive()
    return recorder.tally, recorder


def test_a_page_that_was_sent_after_expiry_is_no_forced_logout() -> None:
    """The service refuses an expired token rightly; that the page was due earlier is no excuse."""
    tally, recorder = driven_late(401)
    assert (tally.forced_out, tally.lapsed, tally.violations[EXPIRED]) == (0, 1, 0)
    assert max(recorder.seconds[1].lag_us) > 4e6


def test_an_expired_token_is_seen_to_be_accepted_by_a_late_generator() -> None:
    """The token had expired when it was sent, so its acceptance is true of any run."""
    tally, _ = driven_late(200)
    assert (tally.violations[EXPIRED], tally.forced_out) == (1, 0)


def test_what_is_due_is_sent_between_responses_that_arrive_together() -> None:
    """The event loop reads thousands of responses in one piece; pages do not wait for all."""
    load = StormLoad(sessions=2, lifetime=5, buffer=2.4, duration=60, gap=1, pages=False)
    begins_at = time.time() - 2.0
    held = Credential(token="a.b.c", expires_at=begins_at + 60)
    with answering(200) as url:
        plan = GeneratorPlan(
            scenario="one-page", url=url, mode="sliding", load=load, begins_at=begins_at, timeout=2
        )
        driver = Driver(plan, OnePage(load), NoLogin(), LoadRecorder(), forger=Forger(), share=0.0)
        driver.add_clients(0, [held])
        driver._send_between(driver._now())
        assert driver._exchange.in_flight == 0  # the load has not begun
        driver._send_due()
        assert driver._exchange.in_flight == 1
        driver.add_clients(1, [held])
        driver._send_between(driver._sent_at + 0.001)
        assert driver._exchange.in_flight == 1
        driver._send_between(driver._sent_at + 0.01)
        assert driver._exchange.in_flight == 2
        driver._pool.close()
