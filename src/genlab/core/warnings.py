"""Warnings: what a user should know although nothing has failed."""

import logging
from functools import cache


@cache
def warn_once(text: str) -> None:
    """Log a warning once, to the logger "genlab", which the command line writes to standard error."""
    logging.getLogger("genlab").warning(text)
