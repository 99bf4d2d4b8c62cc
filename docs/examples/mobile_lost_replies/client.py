"""The app on the phone: the refresh token is on disk, the access token in memory.

Port it to Swift or Kotlin; the file becomes the keychain. ``python client.py URL FILE`` opens the
app once, and ``python client.py URL FILE NAME PASSWORD`` signs in.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import httpx2

TRIES = (0.0, 0.2, 0.6)  # seconds before each


class SignedOut(Exception):
    """There is no session; ask for the password."""


class Offline(Exception):
    """The server was not reached; the session goes on, try again later."""


class Phone:
    """One installed app."""

    def __init__(self, url: str, file: Path, http: httpx2.AsyncClient) -> None:
        self._url, self._file, self._http = url, file, http
        self._access, self._refresh_at = "", 0.0
        self._one_at_a_time = asyncio.Lock()

    async def sign_in(self, username: str, password: str) -> None:
        """Sign in with the password."""
        form = {"username": username, "password": password}
        self._take((await self._post("/login", form)).raise_for_status().json())

    async def get(self, path: str) -> Any:
        """Return the JSON of `path`; refresh first where that is due.

        Raises:
            SignedOut: The session has ended.
            Offline: There is no network.

        """
        token = await self._token()
        answer = await self._send(path, token)
        if answer.status_code == 401:  # revoked, or this clock is wrong: once more with a new one
            answer = await self._send(path, await self._token(refused=token))
        return answer.raise_for_status().json()

    async def _token(self, refused: str = "") -> str:
        async with self._one_at_a_time:  # parallel requests share one refresh
            if self._access in ("", refused) or time.monotonic() >= self._refresh_at:
                await self._refresh()
            return self._access

    async def _refresh(self) -> None:
        """Exchange the refresh token; what was lost on the way is asked for again."""
        held = self.load()
        if held is None:
            raise SignedOut
        answer = await self._post("/refresh", {"refresh_token": held["refresh_token"]})
        try:
            said = answer.json()
        except ValueError as error:  # the page of a proxy or of a hotel's network
            raise Offline from error
        if answer.status_code == 400 and said["error"] == "invalid_grant":
            self._file.unlink(missing_ok=True)  # the only answer that ends a session
            raise SignedOut
        if answer.status_code != 200:
            raise Offline
        self._take(said)

    async def _post(self, path: str, form: dict[str, str]) -> httpx2.Response:
        """Post; repeat with the same token where no answer came, for a few times."""
        for pause in TRIES:
            await asyncio.sleep(pause)
            try:
                answer = await self._http.post(f"{self._url}{path}", json=form)
            except httpx2.TransportError:
                continue
            if answer.status_code not in (502, 503, 504):
                return answer
        raise Offline

    async def _send(self, path: str, token: str) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {token}"}
        try:
            return await self._http.get(f"{self._url}{path}", headers=headers)
        except httpx2.TransportError as error:
            raise Offline from error

    def _take(self, answer: dict[str, Any]) -> None:
        """Save the new refresh token, and only then use what came with it."""
        held = self.load()
        if held is None or answer["sequence"] >= held["sequence"]:  # never step back
            self.save({name: answer[name] for name in ("refresh_token", "sequence")})
        self._access = answer["access_token"]
        self._refresh_at = time.monotonic() + answer["refresh_in"]

    def load(self) -> dict[str, Any] | None:
        """Return what is on disk."""
        try:
            return json.loads(self._file.read_text())
        except FileNotFoundError:
            return None

    def save(self, held: dict[str, Any]) -> None:
        """Replace the file as a whole: a crash leaves the old one or the new one."""
        new = self._file.with_suffix(".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(held, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._file)


async def main(url: str, file: str, *credentials: str) -> None:
    """Open the app once."""
    async with httpx2.AsyncClient(timeout=30) as http:
        phone = Phone(url, Path(file), http)
        if credentials:
            await phone.sign_in(*credentials)
        print(await phone.get("/feed"))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
