"""Unit tests of the shop, by ``manage.py test``: the guard runs as in production."""

from django.contrib.auth import get_user_model
from django.test import TestCase

from linqi.django.testing import AsyncClient
from linqi.testing import moved_time, signed_in


class ShopTest(TestCase):
    """Each request passes the whole of asgi.py."""

    def setUp(self):
        """Make a user, and a client without a signed-in user."""
        self.alice = get_user_model().objects.create_user("alice", password="correct horse")
        self.client = AsyncClient()

    async def test_a_caller_with_the_scope_reads_orders(self):
        """`signed_in` makes a real session, with the application's own keys."""
        alice = signed_in(self.client, str(self.alice.pk), scopes=["orders:read"])
        self.assertEqual((await alice.get("/orders")).json(), [{"id": 1}])
        self.assertEqual((await alice.get("/orders/7")).json(), {"id": 7})

    async def test_the_user_is_that_of_the_database(self):
        """`request.user` is loaded by the subject of the token."""
        subject = str(self.alice.pk)
        alice = signed_in(self.client, subject, claims={"role": "customer"})
        self.assertEqual((await alice.get("/me")).json(), {"user": "alice", "role": "customer"})

    async def test_a_caller_without_the_scope_is_refused(self):
        """403 names the scope."""
        alice = signed_in(self.client, str(self.alice.pk), scopes=["orders:read"])
        refused = await alice.delete("/accounts/1")
        self.assertEqual(refused.status_code, 403)
        self.assertEqual(refused.json()["scope"], "admin")

    async def test_a_stranger_is_refused(self):
        """401, in the format of linqi.toml."""
        refused = await self.client.get("/orders")
        self.assertEqual(refused.status_code, 401)
        self.assertEqual(refused.json()["code"], "no_token")

    async def test_an_expired_token_is_renewed(self):
        """The clock of linqi moves; nothing sleeps."""
        with moved_time() as clock:
            person = {"username": "alice", "password": "correct horse"}
            json = "application/json"
            pair = (await self.client.post("/login", person, content_type=json)).json()
            bearer = {"authorization": f"Bearer {pair['access_token']}"}
            self.assertEqual((await self.client.get("/orders", headers=bearer)).status_code, 200)
            clock.advance(901)
            expired = await self.client.get("/orders", headers=bearer)
            self.assertEqual(expired.json()["code"], "token_expired")
            token = {"refresh_token": pair["refresh_token"]}
            renewed = (await self.client.post("/refresh", token, content_type=json)).json()
            bearer = {"authorization": f"Bearer {renewed['access_token']}"}
            self.assertEqual((await self.client.get("/orders", headers=bearer)).status_code, 200)
