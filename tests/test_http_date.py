"""Dates of HTTP headers are read in one way by the client and by the key sets."""

import pytest

from linqi._http_date import http_date


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784111777.0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 784111777.0),
        ("Sun Nov  6 08:49:37 1994", 784111777.0),
        ("Sun, 06 Nov 1994 08:49:37 -0000", 784111777.0),
        ("", None),
        ("soon", None),
        ("Sun, 99 Nov 99999999 08:49:37 GMT", None),
    ],
)
def test_a_date_is_utc_or_malformed(
    text: str, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 9110, section 5.6.7, whatever the zone of this machine."""
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    assert http_date(text) == seconds
