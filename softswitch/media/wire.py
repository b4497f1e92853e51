"""What a switch and a relay in a process of its own say to each other: AMP over a unix socket.

The switch asks, the relay answers, in order. A question and its answer are the media engine's own
(``plugin.media``), written as JSON.
"""

import json
from typing import Any

import attrs
from twisted.protocols import amp

from softswitch.errors import MediaError, SdpSyntaxError
from softswitch.plain import from_plain, to_plain
from softswitch.plugin.media import MediaAnswer, MediaQuestion, MediaReport

#: Bytes of the longest value that AMP carries.
LONGEST = 0xFFFF


def _named(**arguments: amp.Argument) -> list[tuple[bytes, amp.Argument]]:
    """The arguments of a command as AMP wants them."""
    return [(name.encode(), argument) for name, argument in arguments.items()]


class Hello(amp.Command):
    """The first thing that a switch says: it is the one that the relay serves from now on.

    ``sessions`` is how many the relay still has of an earlier one, ``settings`` what it was
    started with.
    """

    response = _named(pid=amp.Integer(), sessions=amp.Integer(), settings=amp.String())


class Ask(amp.Command):
    """One question; the answer says also how many ports each leg of the session has then."""

    arguments = _named(question=amp.String())
    response = _named(answer=amp.String(), ports=amp.String())


class Drop(amp.Command):
    """A leg leaves its session; ``left`` is how many ports it has then, which is to be 0."""

    arguments = _named(session=amp.Unicode(), leg=amp.Unicode())
    response = _named(left=amp.Integer())


class Release(amp.Command):
    """A session ends."""

    arguments = _named(session=amp.Unicode())
    response = _named(left=amp.Integer())


class Sessions(amp.Command):
    """Names of the sessions that the relay has, in their order, those after ``after``; with an
    empty list one has heard of all."""

    arguments = _named(after=amp.Unicode())
    response = _named(names=amp.ListOf(amp.Unicode()))


class Answered(amp.Command):
    """Both sides of a session talk from now on."""

    arguments = _named(session=amp.Unicode(), record=amp.Boolean())
    response = _named()


class Snapshot(amp.Command):
    """What has become of a session's packets until now; ``report`` as in ``Conclude``."""

    arguments = _named(session=amp.Unicode())
    response = _named(report=amp.String())


class Conclude(amp.Command):
    """A session that was answered ends; ``report`` is a ``plugin.media.MediaReport``."""

    arguments = _named(session=amp.Unicode())
    response = _named(left=amp.Integer(), report=amp.String())


class Noticed(amp.Command):
    """From the relay: a ``plugin.media.MediaNotice``."""

    arguments = _named(notice=amp.String())
    response = _named()


class Warned(amp.Command):
    """From the relay: a sentence for the switch's log."""

    arguments = _named(sentence=amp.Unicode())
    response = _named()


class Loaded(amp.Command):
    """From the relay, now and then: figures for an operator, a dict as JSON."""

    arguments = _named(load=amp.String())
    response = _named()


def report_to_wire(report: MediaReport) -> bytes:
    """A report as AMP carries it; what does not fit is left out."""
    while len(written := json.dumps(to_plain(report)).encode()) > LONGEST:
        report = attrs.evolve(report, streams=report.streams[: len(report.streams) // 2])
    return written


def report_from_wire(written: bytes) -> MediaReport:
    """The report that was given."""
    return from_plain(MediaReport, json.loads(written))


def question_to_wire(question: MediaQuestion) -> bytes:
    """A question as AMP carries it.

    :raises SdpSyntaxError: its SDP is too long for that (513).
    """
    written = json.dumps(to_plain(question)).encode()
    if len(written) > LONGEST:
        raise SdpSyntaxError("SDP Too Long", 513)
    return written


def question_from_wire(written: bytes) -> MediaQuestion:
    """The question that was asked."""
    return from_plain(MediaQuestion, json.loads(written))


#: Kind of an error -> its class.
_ERRORS: dict[str, type[MediaError] | type[SdpSyntaxError]] = {
    "media": MediaError,
    "sdp": SdpSyntaxError,
}


def answer_to_wire(answer: MediaAnswer) -> bytes:
    """An answer as AMP carries it."""
    error = answer.error
    told: list[Any] | None = None
    if error is not None:
        kind = "media" if isinstance(error, MediaError) else "sdp"
        told = [kind, error.reason, error.status]
        if isinstance(error, SdpSyntaxError):
            told.append(error.warning)
    written = [answer.token, to_plain(answer.sdp), told, answer.renumbers]
    return json.dumps(written).encode()


def answer_from_wire(written: bytes) -> MediaAnswer:
    """The answer that was given."""
    token, sdp, told, renumbers = json.loads(written)
    error = None
    if told is not None:
        kind, *rest = told
        error = _ERRORS[kind](*rest)
    return MediaAnswer(token, from_plain(bytes, sdp), error, renumbers)
