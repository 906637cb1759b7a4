"""Changes of tables that older programs declared."""

from dj_query.migrate import add_job_metadata_columns

__all__ = ["add_job_metadata_columns"]
