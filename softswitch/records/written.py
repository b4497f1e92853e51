"""What is written of a call's record: all that stands in it, and what follows from that. Pure.

A record is turned into JSON once, when it is kept; whoever carries it on copies that text, or reads
it. Times in it are text, ``2026-01-31T12:00:00.000000Z``.
"""

import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

import attrs
import orjson

from softswitch.errors import SipSyntaxError
from softswitch.plugin.record import Attempt, CallRecord, MediaStream, Silence, Verdict
from softswitch.sip.fields import NameAddr
from softswitch.sip.uri import Uri

#: Fields of a record and of its parts that hold seconds since 1970.
_TIMES: Final = ("invited", "started", "ringing", "answered", "ended", "first", "last", "at")


@attrs.frozen
class Summary:
    """What follows from a record, and is looked for; in JSON under the same names, beside its own.

    :ivar caller_number: user part of the caller's URI, as received; the number of a ``tel:``.
    :ivar called_number: the same of the Request-URI.
    :ivar sent_caller_number: of the From field of the leg B that tells what became of the call: the
        first that was answered, else the last; "" where none was tried.
    :ivar sent_called_number: of its Request-URI.
    :ivar callee: the user of ours who was called there; "" for none.
    :ivar trunk_in: the trunk that has called; "" for none.
    :ivar trunk_out: the trunk over which that leg went; "" for none.
    :ivar pdd_seconds: post-dial delay: from the INVITE to the first ringing, else to the answer;
        None where there was neither.
    :ivar talk_seconds: from the answer to the end; None without an answer.
    :ivar codec_caller: of the audio that the caller has sent; "" where that is not known.
    :ivar codec_callee: of what came from the other side.
    :ivar mos_caller: how well the caller's audio came in at best, 1.0 to 4.4; None where unknown.
    :ivar mos_callee: the same of the other side; the worst where there were several.
    """

    caller_number: str
    called_number: str
    sent_caller_number: str = ""
    sent_called_number: str = ""
    callee: str = ""
    trunk_in: str = ""
    trunk_out: str = ""
    pdd_seconds: float | None = None
    talk_seconds: float | None = None
    codec_caller: str = ""
    codec_callee: str = ""
    mos_caller: float | None = None
    mos_callee: float | None = None


def summary(record: CallRecord) -> Summary:
    """What follows from a record of a call that has ended."""
    tried = decisive(record.attempts)
    heard = record.ringing or record.answered
    answered, ended = record.answered, record.ended
    near = [each for each in record.media if each.leg == "a"]
    far = [each for each in record.media if each.leg != "a"]
    return Summary(
        number_of(record.caller),
        number_of(record.called),
        number_of(tried.caller) if tried is not None else "",
        number_of(tried.target) if tried is not None else "",
        tried.user if tried is not None else "",
        record.identity if record.identity_kind == "trunk" else "",
        (tried.trunk or "") if tried is not None else "",
        None if heard is None else round(heard - record.invited, 6),
        None if answered is None or ended is None else round(ended - answered, 6),
        codec(near),
        codec(far),
        mos(near),
        mos(far),
    )


def decisive(attempts: list[Attempt]) -> Attempt | None:
    """The one that tells what became of the call: the first that was answered, else the last."""
    for attempt in attempts:
        if attempt.answered is not None:
            return attempt
    return attempts[-1] if attempts else None


def codec(streams: list[MediaStream]) -> str:
    """The codec of the first that sounds; "" where that is not known."""
    return next((each.codec for each in streams if each.codec and each.kind != "video"), "")


def mos(streams: list[MediaStream]) -> float | None:
    """Of the one that sounds worst."""
    return min((each.mos for each in streams if each.mos is not None), default=None)


@lru_cache(maxsize=4096)
def number_of(uri: str) -> str:
    """The user part of a URI, perhaps with a name before it, or the number of a ``tel:``; "" where
    it has none."""
    if not uri:
        return ""
    try:
        return (NameAddr.parse(uri).uri if "<" in uri else Uri.parse(uri)).unquoted_user
    except SipSyntaxError:
        return ""


def as_json(record: CallRecord, found: Summary) -> str:
    """A record and what follows from it as one line of JSON, without the line's end.

    Octets of no encoding, which a peer may send, become "?": what reads JSON refuses them. Control
    characters are escaped, those too that JSON would let pass: the text harms no terminal.
    """
    plain = _record.read(record)
    plain["call_group"] = record.call_group or record.id
    plain["attempts"] = [_attempt.read(each) for each in record.attempts]
    plain["media"] = streams(record.media)
    plain["silences"] = [_silence.read(each) for each in record.silences]
    plain["verdicts"] = [_verdict.read(each) for each in record.verdicts]
    plain.update(_summary.read(found))
    try:
        text = orjson.dumps(plain).decode()
    except TypeError:
        text = clean(_encode(plain))
    if text.isascii() and "\x7f" not in text:
        return text
    return _UNESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def streams(media: Iterable[MediaStream]) -> list[dict[str, Any]]:
    """Those of a call as they stand in its record."""
    return [_stream.read(each) for each in media]


def clean(text: str) -> str:
    """Text that is UTF-8 when it is encoded."""
    return text.encode("utf-8", "replace").decode()


class _Shape:
    """Reads the fields of a record, or of a part, all of which are plain but for the times."""

    def __init__(self, kind: type) -> None:
        self._names = [field.name for field in attrs.fields(kind)]
        self._values: Callable[[Any], Any] = attrgetter(*self._names)
        self._times = [name for name in _TIMES if name in self._names]

    def read(self, part: object) -> dict[str, Any]:
        plain = dict(zip(self._names, self._values(part), strict=True))
        for name in self._times:
            if plain[name] is not None:
                plain[name] = as_text(microseconds(plain[name]))
        return plain


def microseconds(seconds: float) -> int:
    """The same as SQLite keeps it."""
    return round(seconds * 1e6)


def as_text(micros: int) -> str:
    """Microseconds since 1970 as ``2026-01-31T12:00:00.000000Z``."""
    second, micro = divmod(micros, 1_000_000)
    return f"{_utc(second)}.{micro:06}Z"


@lru_cache
def _utc(second: int) -> str:
    """The times of calls that end together are a few seconds."""
    return datetime.fromtimestamp(second, UTC).replace(tzinfo=None).isoformat()


_UNESCAPED: Final = re.compile("[\x7f-\x9f\u2028\u2029]")

_record: Final = _Shape(CallRecord)
_attempt: Final = _Shape(Attempt)
_stream: Final = _Shape(MediaStream)
_silence: Final = _Shape(Silence)
_verdict: Final = _Shape(Verdict)
_summary: Final = _Shape(Summary)
#: For what orjson refuses: text that is not UTF-8.
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
