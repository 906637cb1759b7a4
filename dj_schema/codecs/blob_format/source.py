"""The bytes that are being read, how to read them, and the error for when they make no sense."""

from __future__ import annotations

import math
import struct
from typing import Any

from dj_schema.errors import DataJointError

Result = tuple[Any, int]
"""A value, and the position after it."""

_MOST_DIMENSIONS = 64


class Damaged(DataJointError):
    """A blob contradicts itself."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The blob is damaged: {reason}.")


class Source:
    """A blob without compression.

    Reading past its end need not be noticed at once: positions only grow, so that the last one is wrong.

    Parameters
    ----------
    blob : bytes
    squeeze : bool
        Whether arrays lose their dimensions of length one.
    wide : bool
        Whether the counts of MATLAB's containers have 64 bits; old clients wrote 32.
    """

    __slots__ = ("blob", "squeeze", "word", "word_size")

    def __init__(self, blob: bytes, squeeze: bool, wide: bool) -> None:
        self.blob = blob
        self.squeeze = squeeze
        self.word = "Q" if wide else "I"
        self.word_size = 8 if wide else 4

    def require(self, at: int, size: int) -> None:
        """Refuse a count before anything of that size is allocated."""
        if size > len(self.blob) - at:
            raise Damaged(f"at byte {at} it announces at least {size} bytes and has {len(self.blob) - at}")

    def read_word(self, at: int) -> tuple[int, int]:
        """Read a count."""
        return struct.unpack_from("<" + self.word, self.blob, at)[0], at + self.word_size

    def read_shape(self, at: int) -> tuple[tuple[int, ...], int, int]:
        """Read the shape of an array, and return it, its number of elements, and the position after it."""
        n_dimensions, at = self.read_word(at)
        if n_dimensions > _MOST_DIMENSIONS:
            raise Damaged(f"an array has {n_dimensions} dimensions")
        shape = struct.unpack_from(f"<{n_dimensions}{self.word}", self.blob, at)
        return shape, math.prod(shape), at + n_dimensions * self.word_size
