"""PostgreSQL 14 and later, embedded or not."""
