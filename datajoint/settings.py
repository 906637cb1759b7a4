"""Settings."""

from dj_schema.settings import Config, UnknownSettingError

__all__ = ["Config", "UnknownSettingError"]
