"""Print `bridged_tokens.json`: tokens that other libraries really make, with a fixed secret.

Run it in an environment of its own: ``python make_bridged_tokens.py > bridged_tokens.json`` after
``pip install fastapi-users authx flask-jwt-extended djangorestframework-simplejwt``. The two
entries of earlier releases, whose subjects are numbers, are made by ``... earlier`` in an
environment with flask-jwt-extended 4.6.0 and djangorestframework-simplejwt 5.3.1 (PyJWT below
2.10).
"""

import asyncio
import importlib.metadata
import json
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta

SECRET = "bridge-test-3f9c1b7ae05d42689c1e7f4b8a6d20c5-9b1e"
USER = uuid.UUID("5a3b1c2d-0000-4000-8000-000000000001")


def release(*names):
    """Return names with their versions."""
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)


def tutorial():
    """Return a token as FastAPI's tutorial makes it (security, "OAuth2 with JWT tokens")."""
    import jwt

    claims = {"sub": "johndoe", "exp": datetime.now(UTC) + timedelta(minutes=30)}
    return {
        "by": release("pyjwt"),
        "bridge": {"lifetime": 1800},
        "subject": "johndoe",
        "access": jwt.encode(claims, SECRET, algorithm="HS256"),
        "refused": [],
    }


def fastapi_users():
    """Return a token of `JWTStrategy`, and tokens of its other purposes."""
    from fastapi_users.authentication import JWTStrategy
    from fastapi_users.jwt import generate_jwt

    class User:
        id = USER

    strategy = JWTStrategy(secret=SECRET, lifetime_seconds=3600)
    # As BaseUserManager.forgot_password and request_verify make them, with the same secret.
    reset = {"sub": str(USER), "password_fgpt": "x", "aud": "fastapi-users:reset"}
    verify = {"sub": str(USER), "email": "a@b.example", "aud": "fastapi-users:verify"}
    return {
        "by": release("fastapi-users"),
        "bridge": {"lifetime": 3600, "audience": "fastapi-users:auth"},
        "subject": str(USER),
        "access": asyncio.run(strategy.write_token(User)),
        "refused": [generate_jwt(claims, SECRET, 3600) for claims in (reset, verify)],
    }


def authx():
    """Return tokens of AuthX."""
    from authx import AuthX, AuthXConfig

    auth = AuthX(config=AuthXConfig(JWT_SECRET_KEY=SECRET, JWT_ALGORITHM="HS256"))
    return {
        "by": release("authx"),
        "bridge": {"lifetime": 900, "required_claims": {"type": "access"}},
        "subject": "42",
        "access": auth.create_access_token(uid="42"),
        "refused": [auth.create_refresh_token(uid="42")],
    }


def flask_jwt(identity, **settings):
    """Return tokens of Flask-JWT-Extended for `identity`."""
    import flask
    from flask_jwt_extended import JWTManager, create_access_token, create_refresh_token

    app = flask.Flask("shop")
    app.config["JWT_SECRET_KEY"] = SECRET
    JWTManager(app)
    with app.app_context():
        return {
            "by": release("flask-jwt-extended"),
            "bridge": {"lifetime": 900, "required_claims": {"type": "access"}, **settings},
            "subject": str(identity),
            "access": create_access_token(identity=identity),
            "refused": [create_refresh_token(identity=identity)],
        }


def simplejwt(lifetime, **settings):
    """Return tokens of djangorestframework-simplejwt for the user 7."""
    import django.conf

    apps = ["django.contrib.auth", "django.contrib.contenttypes", "rest_framework_simplejwt"]
    django.conf.settings.configure(SECRET_KEY=SECRET, INSTALLED_APPS=apps, USE_TZ=True)
    django.setup()
    from django.contrib.auth.models import User
    from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

    user = User(id=7, username="x", password="y")
    return {
        "by": release("djangorestframework-simplejwt"),
        "bridge": {
            "lifetime": lifetime,
            "subject_claim": "user_id",
            "required_claims": {"token_type": "access"},
            **settings,
        },
        "subject": "7",
        "access": str(AccessToken.for_user(user)),
        "refused": [str(RefreshToken.for_user(user))],
    }


if __name__ == "__main__":
    made_at = int(time.time())
    numeric = {"numeric_subject": True}
    if sys.argv[1:] == ["earlier"]:
        found = {"flask-jwt-extended 4.6": flask_jwt(7, **numeric)}
        found["simplejwt 5.3"] = simplejwt(300, **numeric)
    else:
        found = {"tutorial": tutorial(), "fastapi-users": fastapi_users(), "authx": authx()}
        found |= {"flask-jwt-extended": flask_jwt("7"), "simplejwt": simplejwt(300)}
    print(json.dumps({"made_at": made_at, "secret": SECRET, "origins": found}, indent=1))
