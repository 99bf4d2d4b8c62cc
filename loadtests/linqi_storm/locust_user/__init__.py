"""Token behaviour and invariants for the users of an existing locustfile.

::

    from linqi_storm.locust_user import LinqiUser

    class Shopper(LinqiUser, FastHttpUser):
        login = {"url": "/login", "body": {"username": "user-{n}", "password": "..."}}
"""

from linqi_storm.locust_user.user import LinqiUser
from linqi_storm.locust_user.violations import on_storm

__all__ = ["LinqiUser", "on_storm"]
