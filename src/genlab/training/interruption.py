"""Ctrl-C, SIGTERM, SIGHUP and Ctrl-Break: finish the step, save, and exit with the code that shells expect."""

import os
import signal
from types import FrameType
from typing import Any

from genlab.core.errors import GenlabError


class Interrupted(GenlabError):  # noqa: N818 (an interruption is no error)
    """A signal ended a run after a checkpoint; the exit code is 128 plus the signal's number."""

    def __init__(self, received: int, step: int) -> None:
        self.exit_code = 128 + received
        name = signal.Signals(received).name
        super().__init__(f"{name} at step {step}; a checkpoint was written.")


class Interruption:
    """While entered, SIGINT, SIGTERM and SIGHUP are noted in `received` instead of ending the process.

    A second signal ends it at once. A signal that is ignored, such as SIGHUP under nohup, stays ignored. Outside
    of the main thread, where Python does not allow signal handlers, this does nothing.
    """

    # SIGHUP is sent when a terminal is closed; Windows does not have it, but SIGBREAK.
    NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")

    def __init__(self) -> None:
        self.received = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interruption":
        try:
            known = [getattr(signal, name) for name in self.NAMES if hasattr(signal, name)]
            heard = [number for number in known if signal.getsignal(number) != signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._note) for number in heard}
        except ValueError:  # not the main thread
            self._before = {}
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        self._restore()
        name = signal.Signals(number).name
        os.write(2, f"\n{name}: finishing the step and saving; a second signal ends without saving.\n".encode())

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
