"""Uses genlab in a process of its own, with limits on memory and time, and returns how it went."""

import contextlib
import io
import os
import resource
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sabotage import in_child

SECONDS = 30
MEMORY = 1 << 30  # bytes that a use may take beyond what the imports take


@dataclass
class Ended:
    """How commands ended: exit codes, what they said, what was raised through them, their time and memory."""

    codes: list[int] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    raised: str = ""
    seconds: float = 0.0
    memory: int = 0
    signal: int = 0

    @property
    def fault(self) -> str:
        """What is against the promise: a traceback, a crash, too much time or memory; "" if nothing is."""
        if self.raised or any("Traceback" in said for said in self.said):
            return f"traceback: {self.raised or self.said}"
        if self.signal:
            name = signal.Signals(self.signal).name
            return f"took more than {SECONDS} s" if name == "SIGALRM" else f"died of {name}"
        if self.memory > MEMORY:
            return f"took {self.memory >> 20} MiB"
        if any(code != 0 and not said.strip() for code, said in zip(self.codes, self.said, strict=True)):
            return f"failed without a word: {self.codes}"
        return ""


def attempt(*commands: Sequence[str], cache: Path | None = None) -> Ended:
    """Run commands of the command line, one after the other, in one other process."""
    return call(_commands, commands, cache=cache)


def call(function: Callable[..., Any], *arguments: object, cache: Path | None = None) -> Ended:
    """Call a function (of an `Ended`, which it fills) in another process, which may have a cache of its own."""
    end = in_child(_limited, cache, function, *arguments)
    if end.code == 0:
        ended: Ended = end.said
        return ended
    return Ended(signal=-(end.code or 0))


def _limited(cache: Path | None, function: Callable[..., Any], *arguments: object) -> Ended:
    if cache:
        os.environ["GENLAB_CACHE"] = str(cache)
    resource.setrlimit(resource.RLIMIT_AS, (_virtual() + 3 * MEMORY, resource.RLIM_INFINITY))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(SECONDS)
    before, start, ended = _resident(), time.monotonic(), Ended()
    try:
        function(ended, *arguments)
    except BaseException:
        ended.raised = traceback.format_exc()
    ended.seconds = time.monotonic() - start
    ended.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    signal.alarm(0)
    return ended


def _commands(ended: Ended, commands: Sequence[Sequence[str]]) -> None:
    from genlab.cli.main import run

    for command in commands:
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            ended.codes.append(run([*command]))
        ended.said.append(said.getvalue())


def _virtual() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
