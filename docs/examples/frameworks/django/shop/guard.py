"""Who may sign in, with which scopes, and the sessions."""

from dataclasses import replace

import linqi.django
from linqi.config import build, load
from shop.settings import BASE_DIR


async def authenticate(form):
    """Check a name and a password by Django's backends; give the session its scopes."""
    from django.contrib.auth import get_user_model

    person = await linqi.django.authenticate(form)
    if person is None:
        return None
    user = await get_user_model().objects.aget(pk=person.subject)
    scopes = ["admin"] if user.is_staff else ["orders:read"]
    return replace(person, scopes=scopes, claims=_claims(user))


async def authorize(session):
    """Return the claims of each later access token: a changed role is read here."""
    from django.contrib.auth import get_user_model

    return _claims(await get_user_model().objects.aget(pk=session.subject))


def _claims(user):
    return {"role": "staff" if user.is_staff else "customer"}


components = build(load(BASE_DIR / "linqi.toml"), authorize_refresh=authorize)
sessions = components.sessions
