"""What a policy is asked about, as the log names it. Pure."""

from typing import TypeAlias

from softswitch.plugin.views import CallView, RequestView

#: A request or call; of a directory, a user's name.
Subject: TypeAlias = RequestView | CallView | str


def call_id(subject: Subject) -> str:
    """Its Call-ID; "" where it has none."""
    return "" if isinstance(subject, str) else subject.call_id


def about(subject: Subject) -> str:
    """In words."""
    return f"user {subject}" if isinstance(subject, str) else f"Call-ID {subject.call_id}"
