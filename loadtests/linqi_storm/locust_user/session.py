"""The tokens of one Locust user: signed in, renewed in single flight, signed in again."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from threading import Lock
from typing import Any, Final
from urllib.parse import urlsplit

import gevent

from linqi._http_date import http_date
from linqi.client.backoff import Backoff
from linqi.client.http_post import PostResponse
from linqi.client.renewal import TokenRenewal
from linqi.client.tokens import ClientTokens, decode_json, tokens_of
from linqi.errors import LinqiError, MalformedToken, SignedOut, Unavailable
from linqi_storm.clients.login_endpoint import login_content, refusal_of, retry_after_of
from linqi_storm.clients.wire_responses import WireResponse
from linqi_storm.locust_user.answers import wire_response_of
from linqi_storm.locust_user.inspection import UserInspection
from linqi_storm.schema.generator_plan import StormLogin

__all__ = ["UserSession"]

_PATIENCE_SECONDS: Final = 30.0
"""For a request without a token; then its task fails."""
_PASSING: Final = frozenset({0, 408, 429})
"""Statuses of a login that another attempt may change, beside 5xx."""


class UserSession:
    """Obtains tokens with requests of the user's own client.

    The rules of renewal are those of `TokenRenewal`; its locks are gevent's in a Locust process.

    Args:
        send: The client's ``request``.
        login: The login endpoint.
        number: Of the user, for ``{n}``.
        inspection: Follows the session.
        no_redirects: The arguments of `send` with which it follows no redirect.
        chance: Returns a random number from 0 to 1, for the delay after a failed login.
        monotonic: Returns a monotonic clock in seconds.

    """

    def __init__(
        self,
        send: Callable[..., Any],
        login: StormLogin,
        number: int,
        inspection: UserInspection,
        *,
        no_redirects: Mapping[str, Any],
        chance: Callable[[], float] = random.random,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.renewal: Final = TokenRenewal()
        self._send = send
        self._login = login
        self._number = number
        self._no_redirects = no_redirects
        self._inspection = inspection
        self._monotonic = monotonic
        self._backoff = Backoff(monotonic, chance)
        self._signing_in = Lock()

    def begin(self) -> None:
        """Sign in; a failure is in the statistics, and the first request tries again."""
        try:
            self._sign_in(None)
        except LinqiError:
            return

    def end(self) -> None:
        """Drop the tokens: the task has signed out, and the next request signs in again."""
        self._inspection.ended()
        self.renewal.sign_out()

    def token(self, refused: str = "") -> str:
        """Return an access token to send; renew it or sign in first if that is needed.

        Args:
            refused: The token with which the server has just answered 401; or empty.

        Raises:
            SignedOut: The login was refused.
            Unavailable: No token could be obtained in 30 s.

        """
        latest = self._monotonic() + _PATIENCE_SECONDS
        while not (token := "" if refused else self.renewal.fresh_token()):
            try:
                token = self._obtain(refused)
            except Unavailable as error:
                if self._monotonic() + error.retry_after > latest:
                    raise
                gevent.sleep(error.retry_after)
            if token:
                break
        return token

    def adopt(self, answer: WireResponse) -> None:
        """Keep the successor in a response, if there is one."""
        if (successor := answer.headers.get(b"x-refresh-token")) is not None:
            self.renewal.adopt(successor.decode("latin-1"), _date_of(answer))

    def _obtain(self, refused: str) -> str:
        """Return a token, or nothing after a renewal or a login has ended."""
        before = self.renewal.tokens
        try:
            plan = self.renewal.plan(refused)
        except SignedOut:
            self._sign_in(before)
            tokens = self.renewal.tokens
            if tokens is not None and tokens.access_token == refused:
                raise SignedOut("the login returned the token that was refused") from None
            return ""
        if plan.flight is not None:
            if plan.is_leader:
                gevent.spawn(self._renew, plan.flight)  # a user that stops must not end it
            if not plan.token:
                plan.flight.result()
        return plan.token

    def _renew(self, flight: Future[None]) -> None:
        response = PostResponse(status=0, detail="ended")
        try:
            response = self._refresh()
        finally:
            self.renewal.settle(flight, response)

    def _refresh(self) -> PostResponse:
        """Post the refresh token once."""
        tokens = self.renewal.tokens
        presented = "" if tokens is None else tokens.refresh_token
        asked_at = self._inspection.asked_refresh(presented)
        body = json.dumps({"refresh_token": presented}).encode()
        headers = {"Content-Type": "application/json"}
        path = self._login.refresh_path
        answer = self._post("REFRESH", path, body, headers, _refresh_fault)
        self._inspection.refreshed(presented, answer, asked_at)
        return PostResponse(
            status=answer.status,
            body=decode_json(answer.body),
            presented=presented,
            date=_date_of(answer),
            retry_after=retry_after_of(answer),
        )

    def _sign_in(self, before: ClientTokens | None) -> None:
        """Sign in, unless the tokens are no longer `before`: another request has signed in."""
        with self._signing_in:
            if self.renewal.tokens is not before:
                return
            wait = self._backoff.retry_at - self._monotonic()
            if wait > 0:
                raise Unavailable("the last login failed", retry_after=wait)
            self._post_login()

    def _post_login(self) -> None:
        content, media_type = login_content(self._login, self._number, {})
        headers = {**self._login.headers, "Content-Type": media_type}
        fault = ""

        def begin(answer: WireResponse) -> str:
            nonlocal fault
            fault = self._begin(answer)
            return fault

        answer = self._post("LOGIN", self._login.url, content, headers, begin)
        if not fault:
            self._backoff.reset()
            return
        self._backoff.delay(retry_after_of(answer))
        if answer.status in _PASSING or answer.status >= 500:
            raise Unavailable(fault, retry_after=self._backoff.retry_at - self._monotonic())
        raise SignedOut(fault)

    def _begin(self, answer: WireResponse) -> str:
        """Take the tokens of a login response; return the fault if it has none."""
        if answer.status != 200:
            return f"the login was answered {answer.status}"
        body = decode_json(answer.body)
        members = body if isinstance(body, dict) else {}
        members = {name: value for name, value in members.items() if value is not None}
        members["access_token"] = members.get(self._login.token_field)
        try:
            tokens = tokens_of(members, None)
            self.renewal.sign_in(tokens, _date_of(answer))
        except MalformedToken as error:
            return f"the login was answered 200 without a token: {error}"
        self._inspection.began(answer, tokens)
        return ""

    def _post(
        self,
        kind: str,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        judge: Callable[[WireResponse], str],
    ) -> WireResponse:
        """Post without following redirects, which would send secrets to another host."""
        with self._send(
            "POST",
            url,
            data=body,
            headers={"Accept": "application/json", **headers},
            name=urlsplit(url).path,
            catch_response=True,
            **self._no_redirects,
        ) as response:
            response.request_meta["request_type"] = kind
            answer = wire_response_of(response)
            fault = judge(answer)
            if fault and answer.status:  # without a response Locust knows the error
                response.failure(fault)
        return answer


def _refresh_fault(answer: WireResponse) -> str:
    return "" if answer.status == 200 else f"the refresh was answered {refusal_of(answer)}"


def _date_of(answer: WireResponse) -> float | None:
    return http_date(answer.headers.get(b"date", b"").decode("latin-1"))
