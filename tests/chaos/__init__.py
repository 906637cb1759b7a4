"""Runs in which everything breaks, the record of what happened, and the judge of that record."""
