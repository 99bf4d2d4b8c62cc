"""A token is sent to the configured origins and to no others."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import httpx2
import pytest

from linqi import ConfigurationError
from linqi.client.httpx import RefreshingAuth as HttpxAuth
from linqi.client.httpx2 import RefreshingAuth
from signed_in import login


class Api:
    """A server that records the tokens of requests, and redirects to a given URL."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.seen: list[str | None] = []
        self.redirects_to = ""


@contextmanager
def serving() -> Iterator[Api]:
    """Serve on a free port while the context lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            api.seen.append(self.headers["Authorization"])
            self.send_response(307 if api.redirects_to else 200)
            if api.redirects_to:
                self.send_header("Location", api.redirects_to)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    api = Api(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(("auth_class", "library"), [(RefreshingAuth, httpx2), (HttpxAuth, httpx)])
def test_a_token_is_sent_to_the_origins_that_are_named(
    dual_server: str, auth_class: Any, library: Any
) -> None:
    """The API's origin gets it; another port of the same machine does not."""
    tokens = login(dual_server)
    with serving() as api, serving() as stranger:
        auth = auth_class(f"{dual_server}/refresh", tokens, origins=[api.url])
        with library.Client(auth=auth) as client:
            client.get(f"{api.url}/orders")
            client.get(f"{stranger.url}/orders")
            assert client.get(f"{dual_server}/me").status_code == 200
        assert api.seen == [f"Bearer {tokens.access_token}"]
        assert stranger.seen == [None]


@pytest.mark.parametrize(("auth_class", "library"), [(RefreshingAuth, httpx2), (HttpxAuth, httpx)])
def test_a_redirect_takes_no_token_to_another_origin(
    dual_server: str, auth_class: Any, library: Any
) -> None:
    """Neither to an unknown origin nor, as in browsers, to another configured one."""
    tokens = login(dual_server)
    with serving() as api, serving() as other, serving() as stranger:
        origins = [api.url, other.url]
        auth = auth_class(f"{dual_server}/refresh", tokens, origins=origins)
        with library.Client(auth=auth, follow_redirects=True) as client:
            for target in (stranger, other):
                api.redirects_to = f"{target.url}/orders"
                assert client.get(f"{api.url}/orders").status_code == 200
                assert target.seen == [None]
        assert api.seen == [f"Bearer {tokens.access_token}"] * 2


@pytest.mark.parametrize(
    "origin",
    [
        "https://api.shop.example/v1",
        "https://api.shop.example/",
        "https://user:secret@api.shop.example",
        "https://api.shop.example?x",
        "https://api.shop.example#x",
        "ftp://api.shop.example",
        "api.shop.example",
        "https://",
        "https://api.shop.example:port",
        "*",
        "",
    ],
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    """All faults at construction, without the text, which may contain a password."""
    with pytest.raises(ConfigurationError) as caught:
        RefreshingAuth("https://shop.example/refresh", origins=["https://a.example", origin])
    (fault,) = caught.value.faults
    assert fault.startswith("origins[1] is not an origin")
    assert "secret" not in fault


def test_a_single_origin_without_a_list_is_refused() -> None:
    """A string would be read as a list of its characters."""
    with pytest.raises(ConfigurationError, match="expected a list"):
        RefreshingAuth("https://shop.example/refresh", origins="https://api.shop.example")
