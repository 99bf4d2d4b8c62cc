"""The users of an outside issuer, as users of this project."""


def load_user(verified):
    """Return the user of a verified token; the first token makes it, without a password."""
    from django.contrib.auth import get_user_model
    from django.contrib.auth.hashers import make_password

    if verified.subject is None:
        return None
    # The prefix keeps them apart from users who sign in here: "root" of the issuer is another one.
    name = f"login:{verified.subject}"
    defaults = {"password": make_password(None)}  # one that no password matches
    return get_user_model().objects.get_or_create(defaults, username=name)[0]
