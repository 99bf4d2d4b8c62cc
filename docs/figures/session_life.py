"""The life of a session: its states, and what leads from one to another."""

from dataclasses import dataclass

from figures.svg import Figure

_MIDDLE = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The texts of the figure in one language; each box has a heading and lines."""

    language: str
    title: str
    description: str
    start: tuple[str, ...]
    valid: tuple[str, ...]
    near: tuple[str, ...]
    lost: tuple[str, ...]
    renewed: str
    due: str
    unanswered: str
    ends: str
    endings: tuple[tuple[str, ...], ...]


WORDS = {
    "": Words(
        language="en",
        title="The life of a session",
        description=(
            "A sign-in gives the first token. While the token is valid, requests are answered as"
            " usual. When it is near expiry, a request, or /refresh with dual tokens, brings its"
            " successor, and the session goes on. A repeated request or a lost reply gets the same"
            " successor. A session ends when no request comes in time, at its absolute end, by a"
            " sign-out or a changed password, and with dual tokens by the reuse of a spent refresh"
            " token."
        ),
        start=("Sign-in",),
        valid=("Token valid", "200"),
        near=("Near expiry", "sliding: 200, X-Refresh-Token", "dual: /refresh, 200, rotated"),
        lost=(
            "Sent again, or reply lost",
            "sliding: the same successor",
            "dual: replayed, recovered",
        ),
        renewed="renewed",
        due="due",
        unanswered="repeated",
        ends="It ends, and a new sign-in begins another:",
        endings=(
            ("Idle too long", "401 token expired", "dual: 400 expired"),
            ("Absolute end", "401 token expired", "dual: 400 expired"),
            ("Sign-out, password", "401 token invalid", "dual: 400 revoked"),
            ("Spent token reused", "sliding: not detected", "dual: 400 reused"),
        ),
    ),
    "zh": Words(
        language="zh-CN",
        title="会话的一生",
        description=(
            "登录得到首个令牌。令牌有效期间请求照常响应。进入临期后，一个请求（双令牌则为"
            " /refresh）换得后继令牌，会话继续。重复的请求或丢失的响应得到同一个后继令牌。"
            "会话因长时间无请求、到达绝对期限、登出或修改密码而结束；双令牌还会因已用过的刷新令牌被重放而结束。"
        ),
        start=("登录",),
        valid=("令牌有效", "200"),
        near=("临期", "滑动：200，X-Refresh-Token", "双令牌：/refresh，200，rotated"),
        lost=("重复请求，或响应丢失", "滑动：同一个后继令牌", "双令牌：replayed、recovered"),
        renewed="续期",
        due="到期点",
        unanswered="重复",
        ends="会话结束，重新登录开始新会话：",
        endings=(
            ("长时间无请求", "401 令牌已过期", "双令牌：400 expired"),
            ("绝对期限", "401 令牌已过期", "双令牌：400 expired"),
            ("登出、修改密码", "401 令牌无效", "双令牌：400 revoked"),
            ("已用令牌被重放", "滑动：无法发现", "双令牌：400 reused"),
        ),
    ),
}


def draw(words: Words) -> Figure:
    """Return the figure in one language."""
    figure = Figure(
        title=words.title, description=words.description, height=716, language=words.language
    )
    figure.text(20, 32, words.title, "title")
    _box(figure, 225, 52, 150, words.start, "soft")
    _box(figure, 180, 130, 240, words.valid, "ok")
    _box(figure, 130, 230, 340, words.near, "soon")
    _box(figure, 130, 372, 340, words.lost, "soon")
    figure.arrow(_MIDDLE, 90, _MIDDLE, 128)
    figure.arrow(_MIDDLE, 192, _MIDDLE, 228)
    figure.text(_MIDDLE + 14, 216, words.due, "tick")
    figure.arrow(_MIDDLE, 316, _MIDDLE, 370)
    figure.text(_MIDDLE + 14, 350, words.unanswered, "tick")
    figure.line([(470, 273), (525, 273), (525, 161)], "arrow")
    figure.arrow(525, 161, 422, 161)
    figure.text(515, 224, words.renewed, "tick", "end")
    figure.line([(130, 415), (75, 415), (75, 161)], "arrow")
    figure.arrow(75, 161, 178, 161)
    figure.text(85, 224, words.renewed, "tick")
    figure.text(20, 492, words.ends, "tick")
    for number, ending in enumerate(words.endings):
        across, down = number % 2, number // 2
        _box(figure, 20 + 285 * across, 508 + 100 * down, 275, ending, "bad")
    return figure


def _box(
    figure: Figure, x: float, y: float, width: float, lines: tuple[str, ...], kind: str
) -> None:
    """Add a box with a heading and its lines."""
    figure.box(x, y, width, 14 + 24 * len(lines), kind)
    for number, line in enumerate(lines):
        figure.text(
            x + width / 2, y + 25 + 24 * number, line, "tick" if number else "strong", "middle"
        )
