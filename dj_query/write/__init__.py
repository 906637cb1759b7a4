"""Writing: rows as values, inserts, updates and deletes."""
