"""The Django user of a verified token."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction, sync_to_async
from django.core.exceptions import ObjectDoesNotExist, ValidationError

from linqi.django.conf import DjangoSettings
from linqi.jose.verified import Verified

__all__ = ["aload_user", "load_user"]

_logger = logging.getLogger("linqi")

# What a model raises for a subject that its field cannot hold: such a user does not exist.
_ABSENT = (ObjectDoesNotExist, ValidationError, ValueError, TypeError, OverflowError)


def load_user(verified: Verified, settings: DjangoSettings) -> Any:
    """Return the user of `verified`, AnonymousUser if there is none or it is not active.

    By default the user model is asked, and only for tokens of this deployment: a subject is unique
    within its issuer only (RFC 7519, section 4.1.2). Projects with outside issuers set
    ``LOAD_USER``.
    """
    loader = settings.load_user
    if loader is None:
        user = _found(verified, settings)
    elif iscoroutinefunction(loader):
        user = async_to_sync(loader)(verified)
    else:
        user = loader(verified)
    return _marked(user, verified)


async def aload_user(verified: Verified, settings: DjangoSettings) -> Any:
    """Return the same as `load_user`, in a coroutine."""
    loader = settings.load_user
    if loader is None:
        user = await sync_to_async(_found)(verified, settings)
    elif iscoroutinefunction(loader):
        user = await loader(verified)
    else:
        user = await sync_to_async(loader)(verified)
    return _marked(user, verified)


def _found(verified: Verified, settings: DjangoSettings) -> Any:
    from django.contrib.auth import get_user_model  # needs the project's settings

    if not verified.own:
        _warn_of_outside_issuer(verified.issuer)
        return None
    if verified.subject is None:
        return None
    try:
        return get_user_model()._default_manager.get(**{settings.user_field: verified.subject})
    except _ABSENT:
        return None


@lru_cache(maxsize=100)
def _warn_of_outside_issuer(issuer: str) -> None:
    """Log once for each issuer that its valid tokens have no user here."""
    _logger.warning(
        "no Django user for the tokens of an outside issuer: issuer=%s: request.user is"
        " AnonymousUser; name a function that returns the user in LINQI['LOAD_USER']",
        issuer,
    )


def _marked(user: Any, verified: Verified) -> Any:
    """Return `user` with its token for `ScopeBackend`, or AnonymousUser."""
    if user is None or not getattr(user, "is_active", True):
        from django.contrib.auth.models import AnonymousUser

        return AnonymousUser()
    user.linqi = verified
    return user
