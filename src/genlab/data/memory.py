"""Bounds the memory that threads use together."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Memory:
    """An amount of memory in bytes that threads share."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._free = total
        self._changed = threading.Condition()

    @contextmanager
    def held(self, need: int) -> Iterator[None]:
        """Wait until `need` bytes are free and hold them; who needs more than there are waits to be alone."""
        need = min(need, self.total)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= need)
            self._free -= need
        try:
            yield
        finally:
            with self._changed:
                self._free += need
                self._changed.notify_all()
