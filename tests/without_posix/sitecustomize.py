"""Takes away what Windows lacks, in a process of Python whose `PYTHONPATH` begins with this folder.

`os.name` stays, because `pathlib` has no Windows paths elsewhere.
"""

import os
import signal
import socket
import sys

import gevent.os  # noqa: F401 - on Windows this and psutil need none of the names
import psutil  # noqa: F401

_MODULES = ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty", "uvloop")
_OF_OS = (
    *("chown", "fchmod", "fchown", "fork", "forkpty", "geteuid", "getuid", "getloadavg"),
    *("killpg", "mkfifo", "nice", "O_CLOEXEC", "pread", "register_at_fork", "setsid"),
    *("sched_getaffinity", "sched_setaffinity", "sysconf", "umask", "uname"),
)
_SIGNALS = ("SIGCONT", "SIGHUP", "SIGQUIT", "SIGSTOP", "SIGUSR1", "SIGUSR2")

for module in _MODULES:
    sys.modules[module] = None  # type: ignore[assignment]
for owner, names in ((os, _OF_OS), (signal, _SIGNALS), (socket, ("SO_REUSEPORT",))):
    for name in names:
        if hasattr(owner, name):
            delattr(owner, name)
