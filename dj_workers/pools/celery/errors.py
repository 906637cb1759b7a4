"""What can be wrong with a broker; nothing here needs Celery."""

from __future__ import annotations

from dj_schema.errors import DataJointError


class BrokerError(DataJointError):
    """The broker cannot be reached or does not let us in, or its URL is none. No password is in the text."""


class BrokerRefusalError(BrokerError):
    """The broker does not let us in, and will not: for a wrong password, say. To wait for it is of no use."""
