"""How another process has ended, as far as this one can see."""

import os
import subprocess
import sys

import pytest

from genlab.core import peers
from genlab.core.peers import Peer, described, this_process


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(
    ("code", "how"), [("os._exit(3)", "ended with exit code 3"), ("os.abort()", "ended by SIGABRT")]
)
def test_a_process_that_nobody_has_waited_for_says_how_it_ended(code: str, how: str) -> None:
    with subprocess.Popen([sys.executable, "-c", f"import os; {code}"], stderr=subprocess.DEVNULL) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert described([this_process(), Peer(this_process().host, child.pid)]).endswith(how)
        child.wait()
        text = described([this_process(), Peer(this_process().host, child.pid)])
    assert text == f"process 1 (pid {child.pid}) has ended"


def test_a_process_elsewhere_is_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "SECONDS", 0.0)
    assert described([this_process(), Peer("elsewhere", 2**22 + 1)]).startswith("a process on another machine")
