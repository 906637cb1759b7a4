"""The Celery application: ``dj-worker celery worker``, or ``celery -A dj_workers.celery_app worker``.

Its settings are read when this is imported, as Celery wants it; pipelines when a worker starts.
"""

from __future__ import annotations

from dj_schema.settings import Config
from dj_workers.pools.celery.app import make_app
from dj_workers.pools.celery.worker import attach

config = Config.load()
app = make_app(config)
worker = attach(app, config)
