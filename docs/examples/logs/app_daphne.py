"""The same for a server that takes no file for logging, such as daphne."""

import json
import logging.config
from pathlib import Path

from app import app

logging.config.dictConfig(json.loads(Path(__file__).with_name("logging.json").read_text()))

__all__ = ["app"]
