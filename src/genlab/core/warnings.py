"""What a user should know although nothing has failed; the command line shows it on standard error."""

import logging
from functools import cache

LOG = logging.getLogger("genlab")


@cache
def warn_once(text: str) -> None:
    """Log a warning, unless this process has logged it before."""
    LOG.warning(text)
