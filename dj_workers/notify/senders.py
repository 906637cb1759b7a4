"""Where notices go: a Slack webhook, e-mail. Any callable that takes a `Notice` will do as well."""

from __future__ import annotations

import json
import smtplib
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from dj_schema.errors import DataJointError
from dj_workers.notify.notice import Notice

Sender = Callable[[Notice], Any]


class NotificationError(DataJointError):
    """A notice could not be sent; says why, and nothing of secrets."""


@dataclass(frozen=True)
class SlackWebhook:
    """Post to the incoming webhook of a Slack channel, or of a program that takes the same.

    Parameters
    ----------
    url : str
        Who knows it can post, so it is shown nowhere.
    """

    url: str = field(repr=False)
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        if not self.url.startswith(("https://", "http://")):
            raise DataJointError("the URL of a webhook begins with https://.")

    def __call__(self, notice: Notice) -> None:
        body = json.dumps({"text": f"*{notice.title}*\n{notice.text}"}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s):
                return
        except urllib.error.HTTPError as e:
            raise NotificationError(f"the webhook answers with status {e.code}") from None
        except (OSError, ValueError) as e:
            reason = getattr(e, "reason", None) or type(e).__name__
            raise NotificationError(f"the webhook cannot be reached: {reason}") from None


@dataclass(frozen=True)
class Email:
    """Send by a mail server.

    Parameters
    ----------
    security : {"starttls", "tls", "none"}
    """

    host: str
    sender: str
    receivers: Sequence[str]
    port: int = 587
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    security: str = "starttls"
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        if not self.receivers or isinstance(self.receivers, str):
            raise DataJointError("name the receivers of e-mail as a list of addresses.")
        if self.security not in ("starttls", "tls", "none"):
            raise DataJointError(f'security of e-mail is "starttls", "tls" or "none", not {self.security!r}.')

    def __call__(self, notice: Notice) -> None:
        message = EmailMessage()
        message["Subject"] = " ".join(notice.title.split())
        message["From"] = self.sender
        message["To"] = ", ".join(self.receivers)
        message.set_content(notice.text or notice.title)
        try:
            with self._connected() as server:
                if self.user is not None:
                    server.login(self.user, self.password or "")
                server.send_message(message)
        except (OSError, smtplib.SMTPException) as e:
            code = getattr(e, "smtp_code", None)
            why = f"status {code}" if code is not None else type(e).__name__
            raise NotificationError(f"the mail server {self.host} did not take the message: {why}") from None

    def _connected(self) -> smtplib.SMTP:
        if self.security == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(self.host, self.port, timeout=self.timeout_s, context=context)
        server = smtplib.SMTP(self.host, self.port, timeout=self.timeout_s)
        if self.security == "starttls":
            try:
                server.starttls(context=ssl.create_default_context())
            except BaseException:
                server.close()
                raise
        return server


def sender_of(notifier: Any) -> Sender:
    """Return what sends by a notifier: itself, or its method ``notify(title, message)``."""
    method = getattr(notifier, "notify", None)
    if callable(method):
        return lambda notice: method(notice.title, notice.text)
    if callable(notifier):
        sender: Sender = notifier
        return sender
    raise DataJointError(
        f"a notifier is a callable or has notify(title, message); {type(notifier).__name__} is neither."
    )
