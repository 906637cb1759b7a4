"""Telling people what needs them: jobs that failed, work that is done, work that does not go on.

::

    from dj_workers.notify import Email, Notifications, SlackWebhook

    with Notifications(SlackWebhook(url), tables=[Extremes]) as notifications:
        worker.events.subscribe(notifications)
        worker.run()

Notices are grouped, and each channel gets no more than one message in a while. A channel that fails or
hangs is logged, and harms neither the work nor the other channels.
"""

from dj_workers.notify.notice import Notice
from dj_workers.notify.senders import Email, SlackWebhook
from dj_workers.notify.service import Notifications, notifications_of

__all__ = ["Email", "Notice", "Notifications", "SlackWebhook", "notifications_of"]
