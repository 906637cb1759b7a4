"""The error classes."""

from dj_schema.errors import *  # noqa: F403
