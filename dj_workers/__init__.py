"""Processes around jobs."""
