"""The formats of access logs, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from linqi.errors import ConfigurationError

__all__ = ["FORMATS", "LINE_FORMATS", "PREFIXES", "W3C_FORMATS", "check_format"]

LINE_FORMATS: Final[Mapping[str, str]] = {
    "combined": (
        '$remote_addr $ident $remote_user [$time_local] "$request" $status $body_bytes_sent'
        ' "$http_referer" "$http_user_agent"$rest'
    ),
    "vhost_combined": (
        '$server_name $remote_addr $ident $remote_user [$time_local] "$request" $status'
        ' $body_bytes_sent "$http_referer" "$http_user_agent"$rest'
    ),
    "forwarded": (
        '$http_x_forwarded_for $ident $remote_user [$time_local] "$request" $status'
        ' $body_bytes_sent "$http_referer" "$http_user_agent"$rest'
    ),
    "common": (
        '$remote_addr $ident $remote_user [$time_local] "$request" $status $body_bytes_sent'
    ),
    "alb": (
        "$type $time_iso8601 $elb $client $target $request_seconds $target_seconds"
        " $response_seconds $status $target_status $received_bytes $sent_bytes"
        ' "$request" "$http_user_agent" $rest'
    ),
    "haproxy": (
        "$remote_addr [$time_local] $frontend $backend $timers $status $bytes $cookie_sent"
        ' $cookie_set $termination $connections $queues $captured"$request"$rest'
    ),
}
"""Formats of text in nginx's language; ``$rest`` is whatever follows. Sources: nginx,
ngx_http_log_module; Apache, mod_log_config; AWS, Access logs for your Application Load Balancer;
HAProxy, Configuration Manual, section 8.2.3."""

W3C_FORMATS: Final[Mapping[str, tuple[str, ...]]] = {
    "cloudfront": (
        *("date", "time", "x-edge-location", "sc-bytes", "c-ip", "cs-method", "cs(Host)"),
        *("cs-uri-stem", "sc-status", "cs(Referer)", "cs(User-Agent)", "cs-uri-query"),
        *("cs(Cookie)", "x-edge-result-type", "x-edge-request-id", "x-host-header"),
    ),
    "iis": (
        *("date", "time", "s-ip", "cs-method", "cs-uri-stem", "cs-uri-query", "s-port"),
        *("cs-username", "c-ip", "cs(User-Agent)", "cs(Referer)", "sc-status", "sc-substatus"),
        *("sc-win32-status", "time-taken"),
    ),
}
"""Extended log files of W3C, with their fields where no ``#Fields:`` line names others."""

PREFIXES: Final[Mapping[str, str]] = {
    "syslog": (
        r"^(?:<[0-9]{1,3}>)?[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} (?:[^ ]+ )?"
        r"[^ :\[]+(?:\[[0-9]+\])?: "
    ),
    "syslog of RFC 5424": (
        r"^<[0-9]{1,3}>1 [^ ]+ [^ ]+ [^ ]+ [^ ]+ [^ ]+ (?:-|\[[^\]]*\]) (?:\x{FEFF})?"
    ),
    "journald": (r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[^ ]+ [^ ]+ [^ :\[]+(?:\[[0-9]+\])?: "),
    "Kubernetes": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[^ ]+ (?:stdout|stderr) [FP] ",
    "timestamp": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[^ ]+ ",
    "pod": r"^\[pod/[^\]]+\] ",
    "Docker Compose": r"^[^ |]+ +\| ",
}
"""What collectors of logs write before a line."""

FORMATS: Final = (*LINE_FORMATS, *W3C_FORMATS, "json", "traefik", "caddy", "gcp", "csv", "parquet")


def check_format(name: str) -> None:
    """Check that `name` is a format, a format string, or empty for detection.

    Raises:
        ConfigurationError: Names the formats.

    """
    if name and name not in FORMATS and "$" not in name and "%" not in name:
        raise ConfigurationError(
            [
                f"--log-format is {name!r}, expected one of {', '.join(FORMATS)}, or a format"
                " string of nginx or Apache"
            ]
        )
