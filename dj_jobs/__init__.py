"""What there is to compute, and who holds it."""
