"""`<blob>`: any plain Python value or numpy array as bytes, in the database or, by `<hash@>`, in a store."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from dj_schema.codecs.base import Codec


class BlobCodec(Codec):
    """Serialize values in the format of `dj_schema.codecs.blob_format`."""

    name = "blob"

    def get_dtype(self, is_external: bool) -> str:
        return "<hash>" if is_external else "bytes"

    def encode(
        self, value: Any, *, key: Mapping[str, Any] | None = None, store_name: str | None = None
    ) -> bytes:
        packed: bytes = _format().pack(value)
        return packed

    def decode(self, stored: Any, *, key: Mapping[str, Any] | None = None) -> Any:
        return _format().unpack(stored)


@functools.cache
def _format() -> ModuleType:
    # Deferred so that declaring and importing a pipeline does not have to load numpy.
    from dj_schema.codecs import blob_format

    return blob_format
