"""The command line as a program.

What takes a while to import is imported where an interrupt is handled, so that Ctrl-C never shows a traceback.
"""

import io
import sys
from collections.abc import Sequence


def run(tokens: Sequence[str]) -> int:
    """Run one command and return its exit code.

    0; 1 error, 2 usage, 3 the doctor found a failure, 4 NaN or Inf, 130 and 143 signals.
    """
    try:
        from genlab.cli.app import run_command

        return run_command(tokens)
    except KeyboardInterrupt:  # before `run_command` handles it, or once more
        print("genlab: interrupted before there was a result", file=sys.stderr)
        return 130


def main() -> None:
    """Run the command line of this process; what its terminal cannot show is written as an escape sequence."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))
