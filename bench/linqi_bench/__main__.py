"""``python -m linqi_bench``: what ``linqi bench`` does."""

from __future__ import annotations

import argparse
import sys

from linqi.commands import bench

if __name__ == "__main__":
    parser = argparse.ArgumentParser("python -m linqi_bench", description=bench.DESCRIPTION)
    bench.add_options(parser)
    sys.exit(bench.run(parser.parse_args()))
