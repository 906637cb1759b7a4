"""What a table is, and how to reach the database that holds it."""
