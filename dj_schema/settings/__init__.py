"""What a user can set, where it is read from, and `Config`, which holds it.

Importing this reads nothing and costs nothing; pydantic is imported with the first `Config`.
"""

from dj_schema.settings.config import Config
from dj_schema.settings.problems import UnknownSettingError

__all__ = ["Config", "UnknownSettingError"]
