"""An array that is filled row by row, in memory or, if it is large, in a file that leaves nothing behind."""

import math
import tempfile
import weakref
from pathlib import Path

import numpy as np

from genlab.core.errors import DataError
from genlab.data.cache import explain
from genlab.data.dataset import Array

LIMIT = 2**30  # bytes of an array in memory


class Rows:
    """At most `count` rows of one shape and type.

    Above `LIMIT` bytes they lie in a file without a name in the folder `cache`, which goes with the process.
    It is not written through a memory map: if the disk is full, that kills the process with SIGBUS.
    """

    def __init__(self, count: int, shape: tuple[int, ...], dtype: np.dtype[np.generic], cache: Path) -> None:
        self.count, self.shape, self.dtype, self.cache = count, shape, dtype, cache
        self.filled = 0
        self._file = None
        if count * math.prod(shape) * dtype.itemsize <= LIMIT:
            self._array = np.empty((count, *shape), dtype)
            return
        try:
            cache.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=cache)  # noqa: SIM115 closed with the rows
            weakref.finalize(self, self._file.close)  # a map of it stays valid
        except OSError as error:
            raise DataError(explain(error, cache)) from error

    def add(self, row: Array) -> None:
        """Fill the next row.

        Raises:
            DataError: the disk is full or cannot be written.
        """
        if self._file is None:
            self._array[self.filled] = row
        else:
            try:
                self._file.write(np.ascontiguousarray(row, self.dtype).data)
            except OSError as error:
                raise DataError(explain(error, self.cache)) from error
        self.filled += 1

    def array(self) -> Array:
        """Return the rows that were filled."""
        if self._file is None:
            return self._array[: self.filled]
        try:
            self._file.flush()
        except OSError as error:
            raise DataError(explain(error, self.cache)) from error
        shape = (self.filled, *self.shape)
        return np.memmap(self._file, self.dtype, "r", shape=shape).view(np.ndarray)

    def in_colour(self) -> "Rows":
        """Return grey images (1, H, W) as colour images (3, H, W)."""
        coloured = Rows(self.count, (3, *self.shape[1:]), self.dtype, self.cache)
        for row in self.array() if self.filled else ():
            coloured.add(np.repeat(row, 3, axis=0))
        return coloured
