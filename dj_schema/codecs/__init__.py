"""Codecs: how a value that is not a core type is stored, and how it comes back."""

from dj_schema.codecs.base import Codec
from dj_schema.codecs.blob import BlobCodec
from dj_schema.codecs.chain import Chain, chain_of, resolve_dtype
from dj_schema.codecs.registry import get_codec, is_codec_registered, list_codecs, unregister_codec
from dj_schema.codecs.type_spec import TypeSpec, is_codec_spec, parse_type_spec

__all__ = [
    "BlobCodec",
    "Chain",
    "Codec",
    "TypeSpec",
    "chain_of",
    "get_codec",
    "is_codec_registered",
    "is_codec_spec",
    "list_codecs",
    "parse_type_spec",
    "resolve_dtype",
    "unregister_codec",
]
