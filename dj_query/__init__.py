"""What a query means, and how rows are read and written."""
