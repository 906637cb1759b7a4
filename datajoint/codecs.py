"""Codecs: how Python objects are stored."""

from dj_schema.codecs import *  # noqa: F403
