"""What a user should know although nothing has failed; a program decides where the logger "genlab" leads."""

import logging
from functools import cache

LOG = logging.getLogger("genlab")


@cache
def remark(text: str) -> None:
    """Tell the user once; the command line shows it on standard error."""
    LOG.warning(text)
