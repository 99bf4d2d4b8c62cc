"""``python -m linqi_bench``: what ``linqi bench`` does."""

from __future__ import annotations

import argparse
import sys

from linqi_bench.command import add_options, run
from linqi_bench.commands import BENCH

if __name__ == "__main__":
    parser = argparse.ArgumentParser("python -m linqi_bench", description=BENCH.summary)
    add_options(parser)
    sys.exit(run(parser.parse_args()))
