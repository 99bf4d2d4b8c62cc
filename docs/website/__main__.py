"""Build the documentation site, or bring up to date what it checks: `python -m website`."""

import argparse
import sys

from website import glossary
from website.build import build
from website.pages import PageFault
from website.translations import mark_translated


def main() -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m website", description=__doc__)
    actions = parser.add_subparsers(dest="action")
    actions.add_parser("build", help="build and check the site (the default)")
    mark = actions.add_parser("translated", help="write down that a translation is up to date")
    mark.add_argument("pages", nargs="+", metavar="PAGE", help="such as zh/start.md")
    actions.add_parser("glossary", help="write the table of docs/zh/glossary.md")
    options = parser.parse_args()
    try:
        if options.action == "translated":
            for page in options.pages:
                mark_translated(page)
        elif options.action == "glossary":
            glossary.write_table()
        else:
            print(f"built: {build()}")
    except PageFault as fault:
        print(fault, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
