"""MySQL 8.0 and MariaDB 10.6 and later: one dialect, with the flags of each."""
