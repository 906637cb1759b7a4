"""When a blob is compressed, and taking it apart again without trusting what it says about itself."""

from __future__ import annotations

import zlib

from dj_schema.codecs.blob_format.layout import COMPRESSED_HEADER, U64
from dj_schema.errors import DataJointError

_SMALLEST_TO_COMPRESS = 1001
# On recordings of integers, level 1 is within 1 % of the size of level 6, in half to a quarter of the time.
_LEVEL = 1
_LARGE = 1 << 18
_SAMPLE = 1 << 14
_WORTHWHILE = 0.93
_HIGHEST_RATIO = 1040
"""Deflate cannot shrink by more than 1032 (zlib manual), so a larger claim is a lie."""

_PREFIX_SIZE = len(COMPRESSED_HEADER) + U64.size


def compressed(blob: bytes) -> bytes:
    """Return a blob compressed where that makes it smaller, else as it is."""
    if len(blob) < _SMALLEST_TO_COMPRESS or (len(blob) > _LARGE and not _looks_compressible(blob)):
        return blob
    body = zlib.compress(blob, _LEVEL)
    if _PREFIX_SIZE + len(body) >= len(blob):
        return blob
    return b"".join((COMPRESSED_HEADER, U64.pack(len(blob)), body))


def decompressed(blob: bytes) -> bytes:
    """Return a compressed blob's content.

    Raises
    ------
    DataJointError
        It is cut short, damaged, or not as long as it claims to be.
    """
    if len(blob) < _PREFIX_SIZE:
        raise DataJointError(f"The blob is damaged: it ends after {len(blob)} bytes, within its header.")
    (size,) = U64.unpack_from(blob, len(COMPRESSED_HEADER))
    if size > len(blob) * _HIGHEST_RATIO:
        raise DataJointError(f"The blob is damaged: {len(blob)} bytes cannot hold the {size} that it claims.")
    try:
        content = zlib.decompress(memoryview(blob)[_PREFIX_SIZE:], bufsize=max(size, 1))
    except zlib.error as error:
        raise DataJointError(f"The blob is damaged and cannot be decompressed: {error}.") from error
    if len(content) != size:
        raise DataJointError(
            f"The blob is damaged: it claims {size} bytes and decompresses to {len(content)}."
        )
    return content


def _looks_compressible(blob: bytes) -> bool:
    """Try three samples: noisy floats would take 20 seconds a gigabyte to become a few percent smaller."""
    starts = (len(blob) // 8, len(blob) // 2, len(blob) - _SAMPLE)
    sample = b"".join(blob[start : start + _SAMPLE] for start in starts)
    return len(zlib.compress(sample, _LEVEL)) < _WORTHWHILE * len(sample)
