"""Clients of a storm that sign out."""

import pytest

from linqi_storm.clients.client_session import ClientSession, Tally
from linqi_storm.clients.http_requests import RequestBuilder
from linqi_storm.clients.sign_outs import SignOuts
from linqi_storm.clients.wire_responses import WireResponse
from linqi_storm.schema.generator_plan import TokenTransport


class Service:
    """Answers a sign-out, and refuses the pages that follow."""

    def __init__(self, response: WireResponse | None) -> None:
        self.response = response

    def ask(self, *_: object, **__: object) -> WireResponse | None:
        """Return the response to the sign-out."""
        return self.response

    def exchange(self, _: bytes) -> WireResponse:
        """Return the response to a page."""
        return WireResponse(401, {})


@pytest.mark.parametrize(
    ("response", "forced_out"),
    [(204, 0), (None, 0), (503, 0), (500, 0), (403, 1)],
)
def test_a_sign_out_without_an_answer_may_have_ended_the_session(
    response: int | None, forced_out: int
) -> None:
    """Its later refusals are no forced logouts; where the service refused it they are."""
    service = Service(None if response is None else WireResponse(response, {}))
    tally, session = Tally(), ClientSession(0, 3)
    session.begin(b"first", 30.0, "r0")
    sign_outs = SignOuts(
        service,  # type: ignore[arg-type] # only its `ask` is used
        service,  # type: ignore[arg-type] # only its `exchange` is used
        RequestBuilder("http://127.0.0.1:1", TokenTransport()),
        tally,
        path="/logout",
        bound=1.0,
        now=lambda: 5.0,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("linqi_storm.clients.sign_outs._WATCH_SECONDS", 0.0)
        sign_outs.run(session, 4.0)
    session.answered(session.send(5.0), 401, None, 0.0, 5.1, tally)
    assert tally.forced_out == forced_out
