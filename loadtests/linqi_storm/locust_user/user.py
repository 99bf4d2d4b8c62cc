"""The mixin that gives a Locust user correct token behaviour."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

import msgspec
from locust.clients import HttpSession

from linqi import ConfigurationError
from linqi_storm.locust_user.inspection import UserInspection
from linqi_storm.locust_user.requests import AuthorizedRequests
from linqi_storm.locust_user.session import UserSession
from linqi_storm.schema.generator_plan import StormLogin

__all__ = ["LinqiUser"]

_numbers: Final[Iterator[int]] = itertools.count()
"""Numbers the users of this process."""
_PRESENTING: Final = 100
"""One user of a class in so many presents tokens that must be refused: a few requests more."""


class LinqiUser:
    """Signs a Locust user in and keeps its tokens, below the requests of its tasks.

    It comes before `HttpUser` or `FastHttpUser`: ``class Shopper(LinqiUser, FastHttpUser)``.
    Requests of `client` to the user's host carry the token, unless a request has credentials of
    its own. Successors in ``X-Refresh-Token`` are kept. Near expiry one refresh is sent, however
    many requests of this user run in parallel; a 401 ``invalid_token`` leads to one refresh, or
    to a new login, and one more attempt.

    Locust's statistics have the rows ``LOGIN``, ``REFRESH``, ``REFUSED`` for a 401 that was
    followed by another attempt, ``HOSTILE`` for tokens that must be refused, and ``VIOLATION``.

    Attributes:
        login: The login endpoint, as ``--login`` of ``linqi storm`` takes it: ``url`` (a path of
            the host, or a whole URL), ``body`` (``{n}`` in a value becomes the number of the
            user), ``encoding``, ``headers``, ``token_field``, ``refresh_path``.
        is_grid: Whether the service renews by the policy ``grid``, the default of linqi: all its
            workers then sign the same successor of one token.
        grace_seconds: How long a spent refresh token brings the same successor again.
        leeway_seconds: How long after ``exp`` the service accepts a token by its settings.

    """

    login: ClassVar[Mapping[str, Any] | StormLogin]
    is_grid: ClassVar[bool] = True
    grace_seconds: ClassVar[float] = 10.0
    leeway_seconds: ClassVar[float] = 0.0
    _made: ClassVar[Iterator[int]]
    """Counts the users of the class."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Check `login`.

        Raises:
            ConfigurationError: It is something else than the description of a login endpoint.

        """
        super().__init_subclass__(**options)
        cls._made = itertools.count()
        if "login" in vars(cls):
            cls.login = _login_of(cls.__name__, cls.login)

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)  # type: ignore[call-arg]
        made: Any = self
        if not hasattr(type(self), "login"):
            raise ConfigurationError([f"{type(self).__name__} has no login"])
        login = _login_of(type(self).__name__, self.login)
        number = number_of(environment, next(_numbers))
        send = made.client.request
        inspection = UserInspection(self, number, presents=next(self._made) % _PRESENTING == 0)
        is_requests = isinstance(made.client, HttpSession)
        no_redirects = {"allow_redirects": False} if is_requests else {"max_redirects": 0}
        session = UserSession(send, login, number, inspection, no_redirects=no_redirects)
        made.client.request = AuthorizedRequests(
            send, made.host, session, inspection, logout_path=login.logout_path
        )
        self.linqi_session: Final = session

    def run(self) -> None:
        """Sign in, then run `on_start` and the tasks; a failed login is tried again by them."""
        self.linqi_session.begin()
        super().run()  # type: ignore[misc]


def number_of(environment: Any, count: int) -> int:
    """Return the number of the user that is the `count`-th of its process.

    The processes of a distributed run take turns, so that no two users have one account.
    """
    options = environment.parsed_options
    processes = getattr(options, "processes", None) or 0
    workers = max(1, processes, getattr(options, "expect_workers", None) or 0)
    index = max(0, getattr(environment.runner, "worker_index", 0))
    return count * workers + index


def _login_of(name: str, login: object) -> StormLogin:
    if isinstance(login, StormLogin):
        return login
    try:
        return msgspec.convert(login, StormLogin)
    except msgspec.ValidationError as error:
        what = "is a method; rename it" if callable(login) else str(error)
        raise ConfigurationError([f"{name}.login: {what}"]) from None
