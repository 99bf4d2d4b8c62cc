"""Puts the mutant of the environment into a server worker, before its application is built.

Python imports this module at its start, because `runner` puts its folder on ``PYTHONPATH``. All
other processes of a storm are left as they are.
"""

import os
import sys
import traceback
from pathlib import Path

if os.environ.get("LINQI_MUTANT") and "linqi_storm.apps.worker" in sys.orig_argv:
    try:
        tests = str(Path(__file__).parents[2])
        sys.path.insert(0, tests)
        from mutants.patching import apply

        sys.path.remove(tests)
        apply(os.environ["LINQI_MUTANT"], Path(os.environ["LINQI_MUTANT_MARKS"]))
    except BaseException:  # noqa: BLE001 - Python would go on without the mutant
        traceback.print_exc()
        os._exit(70)
