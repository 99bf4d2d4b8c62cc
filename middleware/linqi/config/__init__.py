"""``linqi.toml``, the file of settings: read it, check it, write it, build the objects.

```python
app = wrap(api, "linqi.toml")
```
"""

from linqi.config.builder import Components, build
from linqi.config.faults import Fault, InvalidConfig
from linqi.config.reader import load, read, variable_of
from linqi.config.schema import TABLES, Config, every_setting
from linqi.config.wrapper import wrap
from linqi.config.writer import update

__all__ = [
    "TABLES",
    "Components",
    "Config",
    "Fault",
    "InvalidConfig",
    "build",
    "every_setting",
    "load",
    "read",
    "update",
    "variable_of",
    "wrap",
]
