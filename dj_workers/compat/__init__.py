"""For laboratories that run workers of their own scripts: the worker class that they use, on this engine.

::

    from dj_workers.compat import DataJointWorker

    worker = DataJointWorker("gpu", "lab_worker", run_duration=3600 * 3, sleep_duration=10)
    worker(ingest_sessions)            # a function
    worker(Spikes, max_calls=100)      # a table; also as a decorator below @schema
    worker.run()
"""

from dj_workers.compat.progress import workflow_progress
from dj_workers.compat.worker import DataJointWorker

__all__ = ["DataJointWorker", "workflow_progress"]
