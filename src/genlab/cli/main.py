"""The command line as a program.

What takes a while to import is imported where an interrupt is handled, so that Ctrl-C never shows a traceback.
"""

import io
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

INTERRUPTED = "genlab: interrupted before there was a result"


def run(tokens: Sequence[str]) -> int:
    """Run one command and return its exit code.

    0; 1 error, 2 usage, 3 the doctor found a failure, 4 NaN or Inf, 130 and 143 signals.
    """
    try:
        from genlab.cli.app import run_command

        return run_command(tokens)
    except KeyboardInterrupt:  # before `run_command` handles it, or once more
        print(INTERRUPTED, file=sys.stderr)
        return 130


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt; but while torch is imported, which swallows it half-way, end the process."""
    if getattr(getattr(sys.modules.get("torch"), "__spec__", None), "_initializing", False):
        print(INTERRUPTED, file=sys.stderr, flush=True)
        os._exit(130)
    signal.default_int_handler(number, frame)


def main() -> None:
    """Run the command line of this process; what its terminal cannot show is written as an escape sequence."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))
