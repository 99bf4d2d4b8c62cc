"""``linqi.toml``: the one file of settings, read, checked, written, and made into objects.

::

    app = wrap(api, "linqi.toml")
"""

from linqi.config.faults import Fault, InvalidConfig
from linqi.config.reading import load, read, variable_of
from linqi.config.schema import TABLES, Config, every_setting
from linqi.config.wiring import Wired, build
from linqi.config.wrapping import wrap
from linqi.config.writing import update

__all__ = [
    "TABLES",
    "Config",
    "Fault",
    "InvalidConfig",
    "Wired",
    "build",
    "every_setting",
    "load",
    "read",
    "update",
    "variable_of",
    "wrap",
]
