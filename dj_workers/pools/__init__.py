"""Ways to run jobs beside each other."""
