"""MySQL's functions in PostgreSQL's words, one entry a name; a name that is not here passes through."""

from __future__ import annotations

from dj_query.user_sql.postgres_aggregates import AGGREGATES
from dj_query.user_sql.postgres_dates import DATES
from dj_query.user_sql.postgres_digits import DIGITS
from dj_query.user_sql.postgres_json import JSON
from dj_query.user_sql.postgres_numbers import NUMBERS
from dj_query.user_sql.postgres_texts import TEXTS
from dj_query.user_sql.translation import Translation

TRANSLATIONS: dict[str, Translation] = {
    **DATES,
    **TEXTS,
    **NUMBERS,
    **DIGITS,
    **AGGREGATES,
    **JSON,
}
