"""How the other processes of a training have ended."""

import os
import signal
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

SECONDS = 1.0  # that a process which closed its connections may need to end


class Peer(NamedTuple):
    """A process of the group."""

    host: str
    pid: int


def this_process() -> Peer:
    """Return the present process."""
    return Peer(socket.gethostname(), os.getpid())


def described(peers: Sequence[Peer]) -> str:
    """Return in words which of the processes, given by rank, have ended, as far as this one can see."""
    here = this_process()
    until = time.monotonic() + SECONDS
    while True:
        ends = {rank: _end(peer.pid) for rank, peer in enumerate(peers) if peer.host == here.host}
        found = [f"process {rank} (pid {peers[rank].pid}){how}" for rank, how in ends.items() if how is not None]
        if found or time.monotonic() > until:
            return f"{' and '.join(found)}" if found else "a process on another machine, or one that hangs"
        time.sleep(0.02)


def _end(pid: int) -> str | None:
    """Return how a process has ended, or nothing if it could not be seen; None if it has not ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return " has ended"
    except OSError:
        return None
    try:
        state, *_, code = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):  # not Linux, or it has ended since then
        return None
    if state not in "ZX":
        return None
    killed = int(code) & 0x7F
    return f" was ended by {signal.Signals(killed).name}" if killed else f" ended with exit code {int(code) >> 8}"
