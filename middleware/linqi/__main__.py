"""``python -m linqi``."""

import sys

from linqi.cli import main

if __name__ == "__main__":
    sys.exit(main())
