"""The decision tree of docs/choose.md: from the reader's needs to the sessions and the store."""

from dataclasses import dataclass

from figures.svg import Figure

_QUESTION_X, _QUESTION_WIDTH = 20, 320
_ANSWER_X, _ANSWER_WIDTH = 396, 184
_LINE = 24
_GAP = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """Questions from top to bottom: yes leads to the right, no leads down, to `last` in the end.

    Attributes:
        title: What is chosen.
        rungs: The lines of each question, and those of its answer.
        last: The answer if every question was answered with no.

    """

    title: str
    rungs: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    last: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The texts of the figure in one language."""

    language: str
    title: str
    description: str
    yes: str
    no: str
    sessions: Ladder
    stores: Ladder


WORDS = {
    "": Words(
        language="en",
        title="Which sessions, and which store?",
        description=(
            "Another service signs the tokens: verify only. Users stay signed in over pauses, or"
            " theft must be found: dual tokens. A sign-out must count at once: bound sessions."
            " Otherwise: sliding sessions. Stores: one machine, SQLite; PostgreSQL runs already, or"
            " an answered sign-out must survive the loss of a machine, PostgreSQL; otherwise Valkey"
            " or Redis."
        ),
        yes="yes",
        no="no",
        sessions=Ladder(
            title="Sessions",
            rungs=(
                (
                    ("Does another service", "sign your tokens", "(Keycloak, Auth0 …)?"),
                    ("Verify only",),
                ),
                (
                    ("Signed in over pauses of", "hours or days, or must", "theft be detected?"),
                    ("Dual tokens",),
                ),
                (
                    ("Must a sign-out count", "at once, for every worker?"),
                    ("Bound", "sessions"),
                ),
            ),
            last=("Sliding sessions",),
        ),
        stores=Ladder(
            title="Store, for dual tokens and bound sessions",
            rungs=(
                (("Do all workers run", "on one machine?"), ("SQLite",)),
                (
                    ("PostgreSQL runs already, or", "a sign-out must survive", "a lost machine?"),
                    ("PostgreSQL",),
                ),
            ),
            last=("Valkey or Redis",),
        ),
    ),
    "zh": Words(
        language="zh-CN",
        title="用哪种会话，存在哪里？",
        description=(
            "token 由别的服务签发：只校验。离开几小时、几天后还要在线，或者要能发现被盗："
            "双 token。退出要马上生效：可吊销滑动。否则：临期滑动。"
            "存储：所有进程在一台机器上用 SQLite；已经有 PostgreSQL，或者机器损坏也不能丢退出，"
            "用 PostgreSQL；否则用 Valkey 或 Redis。"
        ),
        yes="是",
        no="否",
        sessions=Ladder(
            title="会话",
            rungs=(
                (("token 由别的服务签发？", "（Keycloak、Auth0 等）"), ("只校验",)),
                (("离开几小时、几天还要在线，", "或者要能发现被盗？"), ("双 token",)),
                (("退出要在所有进程上", "马上生效？"), ("可吊销滑动",)),
            ),
            last=("临期滑动",),
        ),
        stores=Ladder(
            title="存储（双 token、可吊销滑动）",
            rungs=(
                (("所有进程都在", "一台机器上？"), ("SQLite",)),
                (
                    ("已经有 PostgreSQL，或者", "机器损坏也不能丢退出？"),
                    ("PostgreSQL",),
                ),
            ),
            last=("Valkey 或 Redis",),
        ),
    ),
}


def draw(words: Words) -> Figure:
    """Return the figure in one language."""
    figure = Figure(
        title=words.title, description=words.description, height=0, language=words.language
    )
    figure.text(20, 32, words.title, "title")
    below = _ladder(figure, words, words.sessions, 66)
    figure.height = round(_ladder(figure, words, words.stores, below + 46) + 20)
    return figure


def _ladder(figure: Figure, words: Words, ladder: Ladder, top: float) -> float:
    """Draw a ladder whose title has its baseline at `top`; return its lower edge."""
    figure.text(_QUESTION_X, top, ladder.title, "strong")
    middle = _QUESTION_X + _QUESTION_WIDTH / 2
    top += 16
    for question, answer in ladder.rungs:
        bottom = _card(figure, _QUESTION_X, top, _QUESTION_WIDTH, question, "soft")
        across = (top + bottom) / 2
        height = _height(answer)
        _card(figure, _ANSWER_X, across - height / 2, _ANSWER_WIDTH, answer, "soon")
        begins = _QUESTION_X + _QUESTION_WIDTH
        figure.arrow(begins, across, _ANSWER_X, across)
        figure.text((begins + _ANSWER_X) / 2 - 5, across - 8, words.yes, "tick", "middle")
        figure.arrow(middle, bottom, middle, bottom + _GAP)
        figure.text(middle + 12, bottom + _GAP / 2 + 5, words.no, "tick")
        top = bottom + _GAP
    return _card(figure, _QUESTION_X, top, _QUESTION_WIDTH, ladder.last, "soon")


def _height(lines: tuple[str, ...]) -> float:
    return len(lines) * _LINE + 20


def _card(
    figure: Figure, left: float, top: float, width: float, lines: tuple[str, ...], kind: str
) -> float:
    """Draw a box with `lines` in its middle; return its lower edge."""
    figure.box(left, top, width, _height(lines), kind)
    for number, line in enumerate(lines):
        weight = "strong" if kind == "soon" else ""
        figure.text(left + width / 2, top + 28 + number * _LINE, line, weight, "middle")
    return top + _height(lines)
