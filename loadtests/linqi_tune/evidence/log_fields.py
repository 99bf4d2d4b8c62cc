"""The names under which servers log the parts of a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["FIELD_NAMES", "VENDORS"]

Names = Mapping[str, tuple[str, ...]]

FIELD_NAMES: Final[Names] = {
    "time": (
        *("StartUTC", "StartLocal", "msec", "ts", "@timestamp", "timestamp", "time_iso8601"),
        *("time_local", "start_time", "time", "datetime", "receiveTimestamp"),
    ),
    "status": (
        *("DownstreamStatus", "httpRequest.status", "http.response.status_code", "status"),
        *("sc-status", "elb_status_code", "status_code", "response.status", "http_status"),
        *("response_code", "OriginStatus"),
    ),
    "target": (
        *("request.uri", "request.path", "httpRequest.requestUrl", "RequestPath", "url.path"),
        *("cs-uri-stem", "request_uri", "uri", "path", "url"),
    ),
    "request": ("request",),
    "method": (
        *("request.method", "httpRequest.requestMethod", "RequestMethod", "http.request.method"),
        *("cs-method", "request_method", "method"),
    ),
    "agent": (
        *("request.headers.User-Agent.0", "httpRequest.userAgent", "request_User-Agent"),
        *("user_agent.original", "cs(User-Agent)", "http_user_agent", "user_agent", "agent"),
    ),
    "user": (
        *("ClientUsername", "user_id", "remote_user", "cs-username", "user.name", "user.id"),
        *("user",),
    ),
    "address": (
        *("http_x_forwarded_for", "request.client_ip", "request.remote_ip"),
        *("httpRequest.remoteIp", "ClientHost", "client.ip", "source.ip", "c-ip", "client"),
        *("remote_addr", "client_ip", "host"),
    ),
    "cookies": ("request.headers.Cookie.0", "request_Cookie", "cs(Cookie)", "http_cookie"),
}
"""For each part of a request its names, in the order in which they are tried."""

VENDORS: Final[Mapping[str, tuple[str, ...]]] = {
    "traefik": ("StartUTC", "DownstreamStatus"),
    "caddy": ("ts", "request.uri"),
    "gcp": ("timestamp", "httpRequest.status"),
    "json": (),
}
"""JSON logs by name, each with the members that tell it from the others; nginx and others have no
fixed members, and are ``json``."""
