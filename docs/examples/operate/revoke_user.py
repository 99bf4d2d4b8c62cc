"""End all sessions of users: ``python revoke_user.py alice bob`` in the folder of linqi.toml."""

import asyncio
import sys

from linqi.config import build, load


async def revoke(subjects):
    """Revoke in the store; all running workers refuse the tokens within a second."""
    sessions = build(load("linqi.toml")).sessions
    await sessions.start()
    try:
        for subject in subjects:
            print(f"{subject}: {len(await sessions.revoke_all(subject))} sessions ended")
    finally:
        await sessions.close()


if __name__ == "__main__":
    asyncio.run(revoke(sys.argv[1:]))
