"""The life of three tokens of one session: when each is due, and what a request then gets."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from figures.population import BUFFER, LIFETIME, PERIOD, START
from figures.svg import Figure
from linqi import Grid, RenewalSettings
from linqi.sessions.renewal import TokenSpan, first_span

_MINUTE = 60
_FIRST_DUE = 6 * _MINUTE
"""The first grid point of the session that is shown, in seconds from its sign-in."""
_REQUESTS = (8 * _MINUTE, 19 * _MINUTE)
"""The requests that renew it."""
_LEFT, _RIGHT, _TOP, _BOTTOM, _ROW, _BAR = 24, 576, 142, 334, 62, 30
_UNTIL = 32 * _MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The texts of the figure in one language."""

    language: str
    title: str
    description: str
    valid: str
    near: str
    point: str
    tokens: tuple[str, str, str]
    request: str
    axis: str


WORDS = {
    "": Words(
        language="en",
        title="Three tokens of one session",
        description=(
            "The first token lives from the sign-in to minute 15, and is near expiry from the"
            " session's first grid point, here minute 6. A request at minute 8 gets its successor,"
            " which counts from the grid point and ends at minute 21; it is near expiry from minute"
            " 16. A request at minute 19 gets the next one, which ends at minute 31."
        ),
        valid="valid",
        near="near expiry: the next request renews it",
        point="grid point of this session, every {period:.0f} min",
        tokens=("first token", "its successor", "the next one"),
        request="request",
        axis="minutes since the sign-in",
    ),
    "zh": Words(
        language="zh-CN",
        title="同一会话的三个令牌",
        description=(
            "第一个令牌从登录起有效到第 15 分钟；到了该会话的第一个网格点（此处为第 6 分钟）进入"
            "临期。第 8 分钟的请求换得后继令牌，它从网格点算起，有效到第 21 分钟，第 16 分钟进入"
            "临期。第 19 分钟的请求换得下一个令牌，有效到第 31 分钟。"
        ),
        valid="有效",
        near="临期：下一个请求触发续期",
        point="该会话的网格点，每 {period:.0f} 分钟一个",
        tokens=("首个令牌", "后继令牌", "下一个令牌"),
        request="请求",
        axis="登录之后的分钟数",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One token, in seconds from the sign-in."""

    begins: float
    due: float
    ends: float


def lives() -> list[Life]:
    """Return the first token of a session and the successors that `_REQUESTS` get."""
    settings = RenewalSettings(lifetime=LIFETIME, buffer=BUFFER, policy=Grid())
    session = next(_sessions(settings))
    span = first_span(session, START, settings)
    found = [_life(session, span, settings)]
    for at in _REQUESTS:
        span = settings.policy.successor(session, START + at, span.expires_at, settings)
        found.append(_life(session, span, settings))
    return found


def _sessions(settings: RenewalSettings) -> Iterator[str]:
    """Yield sessions whose first grid point is at `_FIRST_DUE`."""
    for number in count():
        if settings.policy.due_after(f"session {number}", START, settings) == START + _FIRST_DUE:
            yield f"session {number}"


def _life(session: str, span: TokenSpan, settings: RenewalSettings) -> Life:
    due = settings.due_at(session, span.issued_at, span.expires_at)
    return Life(begins=span.issued_at - START, due=due - START, ends=span.expires_at - START)


def draw(words: Words) -> Figure:
    """Return the figure in one language."""
    figure = Figure(
        title=words.title, description=words.description, height=402, language=words.language
    )
    figure.text(20, 32, words.title, "title")
    figure.box(24, 48, 26, 16, "ok")
    figure.text(58, 62, words.valid)
    figure.box(142, 48, 26, 16, "soon")
    figure.text(176, 62, words.near)
    figure.line([(37, 74), (37, 94)], "point")
    figure.text(58, 90, words.point.format(period=PERIOD / _MINUTE))
    for point in range(_FIRST_DUE, _UNTIL, PERIOD):
        figure.line([(_across(point), 106), (_across(point), _BOTTOM)], "point")
    for number, life in enumerate(lives()):
        top = _TOP + _ROW * number - 10
        figure.box(_across(life.begins), top, _wide(life.begins, life.due), _BAR, "ok")
        figure.box(_across(life.due), top, _wide(life.due, life.ends), _BAR, "soon")
        last = number == len(_REQUESTS)
        at = _across(life.begins) - 10 if last else _across(life.ends) + 10
        figure.text(at, top + 21, words.tokens[number], "strong halo", "end" if last else "start")
        if not last:
            x = _across(_REQUESTS[number])
            figure.arrow(x, top + _BAR / 2, x, top + _ROW)
            figure.dot(x, top + _BAR / 2)
            figure.text(x + 12, top + _BAR + 21, words.request, "tick")
    figure.line([(_LEFT, _BOTTOM), (_RIGHT, _BOTTOM)], "edge")
    for minute in range(0, 31, 5):
        figure.text(_across(minute * _MINUTE), _BOTTOM + 21, str(minute), "tick", "middle")
    figure.text((_LEFT + _RIGHT) / 2, _BOTTOM + 48, words.axis, "tick", "middle")
    return figure


def _across(seconds: float) -> float:
    return _LEFT + _wide(0, seconds)


def _wide(begins: float, ends: float) -> float:
    return (_RIGHT - _LEFT) * (ends - begins) / _UNTIL
