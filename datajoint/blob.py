"""The bytes of `<blob>`."""

from dj_schema.codecs.blob_format import MatCell, MatStruct, pack, unpack

__all__ = ["MatCell", "MatStruct", "pack", "unpack"]
