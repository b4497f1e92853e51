"""The call record: what is left of a call when it has ended. Pure, plain data.

The b2bua fills a record while the call lives; an ``ICallObserver`` is handed it once, when both
legs have ended. ``ops/cdr.py`` writes it down.

Times are wall-clock seconds since 1970 (a call outlives its process, the monotonic clock does
not); None stands for what never happened.
"""

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
