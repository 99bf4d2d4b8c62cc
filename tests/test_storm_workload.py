"""Workloads: their file, the behaviour of clients under them, and the requests they send."""

import json
import random
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from linqi import ConfigurationError
from linqi_storm.clients.http_requests import RequestBuilder
from linqi_storm.run.workload_options import workload_of
from linqi_storm.scenarios import find_scenario
from linqi_storm.scenarios.base import Scenario
from linqi_storm.scenarios.traffic import measured_mean
from linqi_storm.scenarios.workload_traffic import catalogue_of
from linqi_storm.schema.generator_plan import GeneratorPlan, TokenTransport
from linqi_storm.schema.load import StormLoad
from linqi_storm.schema.workload import Workload, read_workload, write_workload

SHOP = {
    "version": 1,
    "source": "access.log",
    "pages": [
        {"weight": 3, "requests": [{"path": "/cart"}, {"path": "/items?q=tea"}]},
        {
            "weight": 1,
            "think": {"mean_seconds": 500},
            "requests": [
                {
                    "method": "POST",
                    "path": "/orders",
                    "headers": {"X-Shop": "1"},
                    "body": '{"item": "tea"}',
                },
                {"path": "/logo.svg", "public": True},
            ],
        },
    ],
    "pauses": {"seconds": [10, 40], "counts": [3, 1]},
    "visits": {"pages": [2, 4], "absences": {"seconds": [7_000, 9_000]}},
    "login_spread_seconds": 60,
}


def shop(**changes: object) -> Workload:
    """Return the workload of a shop."""
    return msgspec.convert({**SHOP, **changes}, Workload)


def scenario(workload: Workload) -> Scenario:
    """Return a scenario under a workload."""
    return find_scenario("storm-sliding")(StormLoad(workload=workload))


def test_a_workload_is_read_as_it_was_written(tmp_path: Path) -> None:
    """The file is complete, and so is the plan that generators read."""
    path = tmp_path / "workload.json"
    write_workload(shop(), path)
    assert read_workload(path) == shop()
    plan = GeneratorPlan(
        scenario="storm-sliding", url="", mode="sliding", load=StormLoad(workload=shop())
    )
    assert msgspec.json.decode(msgspec.json.encode(plan), type=GeneratorPlan) == plan


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "version"),
        ({"lunch": 1}, "lunch"),
        ({"pages": []}, "at least one page"),
        ({"pages": [{"requests": []}]}, "1 to 100"),
        ({"pages": [{"weight": 0, "requests": [{"path": "/"}]}]}, "above 0"),
        ({"pages": [{"requests": [{"path": "/ HTTP/1.1\r\nx: y"}]}]}, "begins with /"),
        ({"pages": [{"requests": [{"path": "/", "headers": {"x": "a\r\nb"}}]}]}, "header"),
        ({"pages": [{"requests": [{"path": "/", "headers": {"Host": "x"}}]}]}, "host"),
        ({"pages": [{"requests": [{"path": "/", "method": "HEAD"}]}]}, "HEAD"),
        ({"pauses": {"seconds": [1, 2], "counts": [1]}}, "one count per length"),
        ({"pauses": {"seconds": [-1, 2]}}, "at least 0"),
        ({"pauses": {"seconds": [1], "mean_seconds": 1}}, "either"),
        ({"pauses": {"seconds": [0]}}, "above 0 s"),
        ({"visits": {"pages": [0], "absences": {"seconds": [1]}}}, "at least 1 page"),
        ({"login_spread_seconds": -1}, "below 0"),
    ],
)
def test_a_file_that_holds_no_workload_is_refused(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    """The message names the file and the fault; no request can break its line."""
    path = tmp_path / "workload.json"
    path.write_text(json.dumps({**SHOP, **changes}))
    with pytest.raises(ConfigurationError, match=rf"workload.json holds no workload.*{message}"):
        read_workload(path)


def test_pages_and_pauses_are_drawn_as_often_as_they_were_seen() -> None:
    """Weights and counts are shares; a page may have pauses of its own."""
    model, rng = scenario(shop(visits=None)), random.Random(1)
    pages = [model.open_page(rng) for _ in range(8_000)]
    counts = Counter(page.requests for page in pages)
    assert counts[0, 1] / len(pages) == pytest.approx(0.75, abs=0.02)
    assert {page.public for page in pages} == {(), (3,)}
    pauses = [model.pause_after(pages[0], 0, rng) for _ in range(8_000)]
    assert set(pauses) == {10, 40}
    assert sum(pauses) / len(pauses) == pytest.approx(17.5, rel=0.03)
    slow = next(page for page in pages if page.think is not None)
    thought = [model.pause_after(slow, 0, rng) for _ in range(8_000)]
    assert sum(thought) / len(thought) == pytest.approx(500, rel=0.05)


def test_sessions_leave_after_a_visit_and_return() -> None:
    """Each session has visits of 2 or 4 pages, whatever the other sessions do."""
    model, rng = scenario(shop()), random.Random(2)
    page = model.open_page(rng)
    lengths: Counter[int] = Counter()
    pages = {0: 0, 1: 0}
    for turn in range(4_000):
        session = turn % 2
        pages[session] += 1
        if model.pause_after(page, session, rng) >= 7_000:
            lengths[pages[session]] += 1
            pages[session] = 0
    assert set(lengths) == {2, 4}
    assert lengths[2] / lengths[4] == pytest.approx(1, abs=0.2)


def test_requests_have_their_method_their_body_and_the_token() -> None:
    """A public request carries no token; a body has its length and type."""
    builder = RequestBuilder("http://127.0.0.1:1/api", TokenTransport(), shop())
    assert [request.path for request in catalogue_of(shop())] == [
        *("/cart", "/items?q=tea", "/orders", "/logo.svg")
    ]
    assert builder.page(b"t", 1).startswith(
        b"GET /api/items?q=tea HTTP/1.1\r\nhost: 127.0.0.1:1\r\n"
    )
    head, _, body = builder.page(b"t", 2).partition(b"\r\n\r\n")
    assert body == b'{"item": "tea"}'
    assert head.startswith(b"POST /api/orders HTTP/1.1\r\n")
    for line in (b"X-Shop: 1", b"content-type: application/json", b"content-length: 15"):
        assert line in head.split(b"\r\n")
    assert head.endswith(b"\r\nauthorization: Bearer t")
    assert b"t\r\n\r\n" not in builder.page(b"t", 3)
    assert b"authorization" not in builder.page(b"t", 3)
    cookie = RequestBuilder("http://h", TokenTransport(cookie="access"), shop())
    assert cookie.page(b"t").endswith(b"\r\ncookie: access=t\r\n\r\n")


def test_a_request_without_a_token_is_of_a_page_that_needs_one() -> None:
    """It changes nothing; pages for guests, public ones and other methods are left out."""
    for transport in (TokenTransport(), TokenTransport(cookie="access")):
        builder = RequestBuilder("http://127.0.0.1:1/api", transport, shop())
        for method in ("GET", "HEAD"):
            request = builder.without_token(method)
            assert request is not None
            assert request.startswith(f"{method} /api/cart HTTP/1.1\r\nhost:".encode())
            assert request.endswith(b"accept: */*\r\n\r\n")
            assert b"cookie" not in request
            assert b"authorization" not in request
        other = builder.without_token("GET", {("GET", "/cart")})
        assert other is not None
        assert other.startswith(b"GET /api/items?q=tea ")
        assert builder.without_token("GET", {page.kind for page in builder.pages}) is None


def test_the_plan_tells_which_pages_are_for_guests() -> None:
    """Generators read it from a file."""
    plan = GeneratorPlan(
        scenario="storm-sliding", url="", mode="sliding", load=StormLoad(workload=shop())
    ).with_guests({("GET", "/cart")})
    read = msgspec.json.decode(msgspec.json.encode(plan), type=GeneratorPlan)
    assert read.expected.guests == (("GET", "/cart"),)


def test_pauses_are_rescaled_only_if_asked(tmp_path: Path) -> None:
    """A mean scales every pause but the spread of sign-ins; a path replaces all paths."""
    path = tmp_path / "workload.json"
    write_workload(shop(), path)
    assert workload_of(path, None) == shop()
    assert workload_of(None, "exponential") is None
    asked = workload_of(path, None, path="/me", mean=35)
    assert asked is not None
    assert asked.pauses.seconds == (20, 80)
    assert asked.visits is not None
    assert asked.visits.absences.seconds == (14_000, 18_000)
    assert asked.login_spread_seconds == 60
    assert [len(page.requests) for page in asked.pages] == [2, 2]
    assert [request.path for request in catalogue_of(asked)] == ["/me"]
    with pytest.raises(ConfigurationError, match="--gaps"):
        workload_of(path, "exponential")
    with pytest.raises(ConfigurationError, match=r"'lunch', expected one of: exponential, reading"):
        workload_of(None, "lunch:12")


def test_measured_pauses_keep_their_mean(tmp_path: Path) -> None:
    """The mean of the file is that of the storm unless --gap-seconds is given."""
    path = tmp_path / "gaps.json"
    path.write_text('{"gaps_seconds": [10, 50], "gap_counts": [3, 1]}')
    assert measured_mean(f"measured:{path}") == 20
    assert measured_mean("reading") is None
