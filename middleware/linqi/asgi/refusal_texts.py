"""The texts of refusals by language and code, as responses show them to users."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["CODES", "ENGLISH", "TEXTS"]

ENGLISH: Final = "en"
"""The language whose table is complete: a text that another language lacks is taken from it."""

TEXTS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        ENGLISH: {
            "no_token": "Authentication is required",
            "invalid_request": "The request is malformed",
            "invalid_token": "The access token is invalid",
            "malformed_token": "The access token is malformed",
            "token_expired": "The access token expired",
            "token_not_yet_valid": "The access token is not valid yet",
            "bound_token": "The access token is bound to a key and is no bearer token",
            "insufficient_scope": "The access token lacks a required scope",
            "insufficient_user_authentication": "Sign in again to continue",
            "temporarily_unavailable": "The service is temporarily unavailable; try again later",
            "wrong_credentials": "The name or the password is wrong",
            "invalid_subject": "This name cannot sign in",
            "slow_down": "Too many failed sign-ins; try again later",
            "no_session": "There is no session; sign in",
            "session_ended": "The session has ended; sign in again",
            "invalid_scope": "The requested scope is not granted",
            "unsupported_grant_type": "The grant type is not supported",
            "unsupported_token_type": "This token cannot be revoked",
            "foreign_token": "Sessions need a token of this service",
            "not_found": "There is no such session",
            "server_error": "The server failed to handle the request",
        },
        "zh-CN": {
            "no_token": "请先登录",
            "invalid_request": "请求格式不正确",
            "invalid_token": "访问令牌无效",
            "malformed_token": "访问令牌格式错误",
            "token_expired": "访问令牌已过期",
            "token_not_yet_valid": "访问令牌尚未生效",
            "bound_token": "访问令牌已绑定密钥，不能作为 Bearer 令牌使用",
            "insufficient_scope": "权限不足，访问令牌缺少所需的权限范围",
            "insufficient_user_authentication": "请重新登录后继续操作",
            "temporarily_unavailable": "服务暂时不可用，请稍后重试",
            "wrong_credentials": "用户名或密码错误",
            "invalid_subject": "该用户名无法登录",
            "slow_down": "登录失败次数过多，请稍后再试",
            "no_session": "会话不存在，请登录",
            "session_ended": "会话已结束，请重新登录",
            "invalid_scope": "请求的权限范围未获授权",
            "unsupported_grant_type": "不支持该授权类型",
            "unsupported_token_type": "该令牌无法吊销",
            "foreign_token": "会话操作需要本服务签发的令牌",
            "not_found": "会话不存在",
            "server_error": "服务器处理请求时出错",
        },
    }
)
"""The texts that linqi ships."""

CODES: Final = frozenset(TEXTS[ENGLISH])
"""The stable codes that a client may see; docs/reference/refusals.md explains each."""
