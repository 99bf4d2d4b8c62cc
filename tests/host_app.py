"""A worker of one host: the session routes and an API, as its own ``linqi.toml`` describes them.

``uvicorn host_app:app`` with HOST, the folder of that file and of the host's keys.
"""

import os
from pathlib import Path
from typing import Any

from asgi import subject_app
from linqi import Person
from linqi.config import wrap

HOST = Path(os.environ["HOST"])


async def authenticate(form: Any) -> Person | None:
    """Let everybody in."""
    return Person(subject=form["username"])


app = wrap(subject_app, HOST / "linqi.toml", authenticate=authenticate)
