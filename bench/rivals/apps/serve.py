"""Serves one application of one rival under uvicorn, uvloop and httptools, until it is ended.

``python -m rivals.apps.serve NAME KIND MATERIAL`` where `KIND` is ``bare``, ``guarded`` or
``renewing``. Prints the port once it listens.
"""

import socket
import sys
from importlib import import_module
from pathlib import Path

import uvicorn

from rivals.material import Material


def main() -> None:
    """Build the application and serve it on a free port of the loopback interface."""
    name, kind, path = sys.argv[1:]
    module = import_module(f"rivals.apps.{name}")
    app = module.bare() if kind == "bare" else getattr(module, kind)(Material.read(Path(path)))
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    config = uvicorn.Config(
        app, loop="uvloop", http="httptools", log_level="critical", access_log=False
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
