"""The call record: what is left of a call when it has ended. Pure, plain data.

The b2bua fills a record while the call lives; an ``ICallObserver`` is handed it once, when both
legs have ended. ``records`` keeps it.

Times are wall-clock seconds since 1970 (a call outlives its process, the monotonic clock does
not); None stands for what never happened.
"""

from typing import Literal

from attrs import define, field


@define
class Attempt:
    """One leg B: one target that was tried.

    :ivar target: Request-URI as it was sent.
    :ivar call_id_b: Call-ID of this leg.
    :ivar started: when its INVITE was handed to the transaction.
    :ivar trunk: name of the trunk, or None for a registered user or a plain URI.
    :ivar ringing: first 180.
    :ivar answered: first 2xx.
    :ivar ended: final failure, BYE, or when it was given up.
    :ivar status: final SIP status code, 0 when none came.
    :ivar reason: reason phrase, or our own words when none came.
    :ivar limit: the limit of its trunk that it would have broken, as in the record; "" for none.
    :ivar leg: what ``MediaStream.leg`` calls it; "" where no leg was made.
    :ivar caller: whom the From field named as it was sent: a URI, perhaps with a name before it;
        "" where none was.
    :ivar user: name of the user of ours who was called so; "" for none.
    :ivar attestation: how far we have vouched for the caller's number there: "A", "B", "C" (RFC
        8588), "signed" without saying how far; "" where we have not signed it.
    :ivar origid: what we have called the caller in doing so; "" for nothing.
    """

    target: str
    call_id_b: str
    started: float
    trunk: str | None = None
    ringing: float | None = None
    answered: float | None = None
    ended: float | None = None
    status: int = 0
    reason: str = ""
    limit: str = ""
    leg: str = ""
    caller: str = ""
    user: str = ""
    attestation: str = ""
    origid: str = ""


@define
class Verdict:
    """What a policy has decided about a call.

    :ivar question: "admission" or "routing".
    :ivar policy: the name under which the configuration uses it; "" where none had an answer.
    :ivar decision: in a few words: "user alice", "2 targets", "403 Forbidden".
    """

    question: str
    policy: str
    decision: str


@define
class MediaStream:
    """What came from one leg on one ``m=`` line, as whoever carried it has counted.

    What a leg was sent is what came from the other one, but for its ``unsent``; how much of it
    arrived is in ``heard_lost`` and ``heard_jitter``, as its own RTCP reports say.

    :ivar leg: whose packets these are: "a" for the caller, else as the ``leg`` of an attempt.
    :ivar line: the ``m=`` line, from 0.
    :ivar kind: "audio", "video" and the like; "" where that is not known.
    :ivar codec: name of what was sent last, as "PCMU"; "" where that is not known.
    :ivar packets: taken from the leg.
    :ivar bytes: of them, with their RTP header.
    :ivar lost: packets that their sequence numbers say are missing (RFC 3550 A.3); None where
        nobody counts them.
    :ivar jitter: seconds, as in RFC 3550 A.8; None where nobody measures it.
    :ivar first: when the first packet came.
    :ivar last: when the last one came.
    :ivar signalled: "host:port" that the leg's SDP showed last; "" for none.
    :ivar latched: "host:port" from which its packets really came; "" for none.
    :ivar foreign: packets that were dropped, for they came from somewhere else.
    :ivar malformed: packets that were dropped, for they were none.
    :ivar unsent: packets that were taken and could not be sent on: the other leg was on hold, had
        no address yet, or the network refused.
    :ivar rtcp: RTCP packets taken from the leg.
    :ivar events: DTMF events in them (RFC 4733); which keys is written nowhere.
    :ivar heard_lost: of what it was sent, the share that got lost, 0.0 to 1.0, as it has reported
        last; None where it did not.
    :ivar heard_jitter: seconds, likewise.
    :ivar round_trip: seconds between us and the leg, as its reports say; None where they do not.
    :ivar mos: how good what came from the leg sounds at best, 1.0 to 4.4, estimated; None where it
        cannot be.
    """

    leg: str
    line: int
    kind: str = ""
    codec: str = ""
    packets: int = 0
    bytes: int = 0
    lost: int | None = None
    jitter: float | None = None
    first: float | None = None
    last: float | None = None
    signalled: str = ""
    latched: str = ""
    foreign: int = 0
    malformed: int = 0
    unsent: int = 0
    rtcp: int = 0
    events: int = 0
    heard_lost: float | None = None
    heard_jitter: float | None = None
    round_trip: float | None = None
    mos: float | None = None


#: Why nothing is heard of a leg. The documentation says what to do about each.
SilenceCause = Literal[
    "nothing sent",
    "wrong source",
    "wrong port",
    "not RTP",
    "codec not in the answer",
    "not delivered",
    "held",
    "time-out",
]


@define
class Silence:
    """A leg of which the other side hears nothing, though the call has been answered.

    :ivar leg: whose audio is missing, as in ``MediaStream``.
    :ivar cause: why.
    :ivar detail: what has been seen, in a sentence's part.
    :ivar at: when that was found.
    """

    leg: str
    cause: SilenceCause
    detail: str
    at: float


@define
class CallRecord:
    """One call: leg A, and every leg B that was tried for it.

    There is one per leg-A INVITE that was authenticated or matched to a trunk; what is refused
    before that is counted, not recorded.

    :ivar id: the switch's own identifier of the call, unique for ever.
    :ivar call_id_a: Call-ID of leg A.
    :ivar from_tag: the caller's tag on leg A.
    :ivar identity_kind: "user", "trunk", "phone" or "peer".
    :ivar identity: name of the user, trunk, phone or peer.
    :ivar caller: URI of the From field, as received.
    :ivar called: Request-URI, as received.
    :ivar invited: when the INVITE arrived.
    :ivar to_tag: our tag on leg A; "" when no response bore one.
    :ivar ringing: first 180 or 183 sent to the caller.
    :ivar answered: first 2xx sent to the caller.
    :ivar ended: when the last leg ended.
    :ivar hung_up: "caller", "callee" or "switch"; "" while the call lives.
    :ivar status: final SIP status code sent to the caller, 0 while there is none.
    :ivar reason: its reason phrase, or why the switch ended the call.
    :ivar attempts: the legs B, in the order in which they were tried.
    :ivar limit: the first limit by which it was turned away, as "trunk carrier: calls_out 30"; ""
        for none. A call may have gone elsewhere then.
    :ivar media: of an answered call, what each leg has sent; empty where nobody was there to count,
        or did not say so in time.
    :ivar silences: the legs that were not heard, and why.
    :ivar recording: name of the file in which the call was recorded; "" for none.
    :ivar mended: what was wrong with session descriptions before they left, as "b1: c=": for which
        leg, and what was mended, or "refused: " and why. Each once.
    :ivar call_group: id of the first of the calls that belong together, since one has taken over a
        leg of another (RFC 3891) or was transferred to it; its own id for all others.
    :ivar session_id: by which the other systems on the way know the call (RFC 7989), as the callee
        is told: the caller's UUID, then ";remote=" and the callee's; of a call that was transferred
        those of who talked last; "" where none is told.
    :ivar user: name of the user of ours who called, be it through a PBX; "" for none.
    :ivar verdicts: which policies have decided about it, and what, in their order.
    :ivar causes: values of the Reason field (RFC 3326) of what has ended it: a BYE, CANCEL or
        refusal.
    :ivar verstat: what came of verifying the caller's number, as "TN-Validation-Passed" (RFC 8224);
        "" where nobody did.
    :ivar attestation: how far its signer vouches for it: "A", "B" or "C"; "" where it did not pass,
        or he does not say.
    :ivar origid: what he calls whoever called; likewise.
    :ivar unverified: why it did not pass.
    """

    id: str
    call_id_a: str
    from_tag: str
    identity_kind: str
    identity: str
    caller: str
    called: str
    invited: float
    to_tag: str = ""
    ringing: float | None = None
    answered: float | None = None
    ended: float | None = None
    hung_up: str = ""
    status: int = 0
    reason: str = ""
    attempts: list[Attempt] = field(factory=list)
    limit: str = ""
    media: list[MediaStream] = field(factory=list)
    silences: list[Silence] = field(factory=list)
    recording: str = ""
    mended: list[str] = field(factory=list)
    call_group: str = ""
    session_id: str = ""
    user: str = ""
    verdicts: list[Verdict] = field(factory=list)
    causes: list[str] = field(factory=list)
    verstat: str = ""
    attestation: str = ""
    origid: str = ""
    unverified: str = ""
