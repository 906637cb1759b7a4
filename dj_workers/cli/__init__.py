"""The command line `dj-worker`."""
