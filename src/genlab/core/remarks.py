"""Remarks: what a user should know although nothing has failed."""

import logging
from functools import cache


@cache
def remark(text: str) -> None:
    """Tell the user once, on standard error or wherever the logger "genlab" of this program leads."""
    logging.getLogger("genlab").warning(text)
