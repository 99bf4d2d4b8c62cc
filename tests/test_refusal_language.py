"""The language of a refusal: ``Accept-Language``, honest and hostile."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linqi.asgi.refusal_language import Languages

LANGUAGES = Languages(["en", "zh-CN", "de", "pt-BR"], "en")


@pytest.mark.parametrize(
    ("value", "tag"),
    [
        ("", "en"),
        ("zh-CN", "zh-CN"),
        ("ZH-cn", "zh-CN"),
        ("zh", "zh-CN"),
        ("zh-Hans-CN", "zh-CN"),
        ("zh-Hans", "zh-CN"),
        ("zh-SG", "zh-CN"),
        ("zh-TW", "en"),
        ("zh-TW,zh;q=0.9,en;q=0.8", "zh-CN"),
        ("fr,de;q=0.5,en;q=0.4", "de"),
        ("en;q=0.4, de;q=0.5", "de"),
        ("de-AT-1996", "de"),
        ("pt", "pt-BR"),
        ("*", "en"),
        ("fr, *;q=0.1", "en"),
        ("de;q=0, *", "en"),
        ("en;q=0, de;q=0.1", "de"),
        ("en;q=0", "en"),
        ("en;q=0, *", "zh-CN"),
        ("en;q=0, *;q=0.5, de", "de"),
        ("en;q=0, zh;q=0, de;q=0, pt;q=0, *", "en"),
        ("zh-CN;q=NaN, de", "de"),
        ("zh-CN;q=inf, de;q=0.001", "de"),
        ("zh-CN;q=-1", "en"),
        ("zh-CN;q=1.5", "en"),
        ("zh-CN;q=0.0001", "en"),
        ("zh-CN;q=٠.٥", "en"),
        ("zh_CN, de;q=0.1", "de"),
        (";;;,,,q=1,=", "en"),
        ("de\t; q=1.000", "de"),
    ],
)
def test_the_preferred_language_is_chosen(value: str, tag: str) -> None:
    """By weight, then order; malformed ranges are left out (RFC 9110, RFC 4647)."""
    assert LANGUAGES.choose([(b"accept-language", value.encode())]) == tag


def test_several_lines_are_one_list() -> None:
    """RFC 9110, section 5.3."""
    lines = [(b"accept-language", b"fr"), (b"x", b"de"), (b"accept-language", b"zh-CN")]
    assert LANGUAGES.choose(lines) == "zh-CN"


@pytest.mark.parametrize(
    "value",
    [
        b"a" * 1_000_000,
        b"zh-CN;q=0.5," * 100_000,
        b",".join(b"x%d;q=0.%d" % (number, number % 10) for number in range(10_000)),
        b"a" + b"-b" * 500_000,
        b";" * 1_000_000,
        b" " * 1_000_000 + b"de",
        b"\xff" * 1_000_000,
    ],
    ids=["long", "same", "many", "subtags", "semicolons", "spaces", "bytes"],
)
def test_a_hostile_header_costs_no_more_than_an_honest_one(value: bytes) -> None:
    """1,024 bytes and 32 ranges are read of a megabyte: 200 of them take far less than one read."""
    began = time.process_time()
    for number in range(200):
        headers = [(b"accept-language", value), (b"accept-language", b"%d" % number)]
        assert LANGUAGES.choose(headers) in ("en", "zh-CN")
    assert time.process_time() - began < 2


def test_ten_thousand_lines_are_read_once() -> None:
    """Lines past the bound are not joined."""
    assert LANGUAGES.choose([(b"accept-language", b"de")] * 10_000) == "de"


def test_what_is_remembered_is_bounded() -> None:
    """Ever new values do not fill the memory."""
    languages = Languages(["en"], "en")
    for number in range(2_000):
        languages.choose([(b"accept-language", b"x-%d" % number)])
    assert len(languages._remembered) <= 256


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_any_bytes_choose_one_of_the_languages(lines: list[bytes]) -> None:
    """Nothing that a client sends raises."""
    chosen = LANGUAGES.choose([(b"accept-language", line) for line in lines])
    assert chosen in ("en", "zh-CN", "de", "pt-BR")
