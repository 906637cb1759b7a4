"""How tables depend on each other."""
