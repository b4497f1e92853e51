"""What each leg's peer is told that the session is called: Session-ID (RFC 7989). Pure.

The UUIDs belong to the two ends, and cross the switch as if it were not there; an end that has none
gets one from us, on whose behalf we then speak (RFC 7989 7). What a leg says stands in its dialogs:
every message of theirs bears it. Where a leg says nothing, the operator wants none of it.
"""

from softswitch.b2bua.leg import Leg
from softswitch.sip.sessionid import new_uuid, written


def begin(caller: Leg) -> str:
    """A caller's leg has been made. Until it is known who answers, another UUID stands for him.

    :returns: what a callee will be told.
    """
    uuid = uuid_of(caller)
    caller.session.data.dialog.session_id = written(new_uuid(), uuid)
    return written(uuid)


def call(near: Leg, far: Leg) -> None:
    """``far`` is about to be invited for ``near``, be it in a session already."""
    if near.session.data.dialog.session_id:
        _say(far, uuid_of(near), far.session.data.uuid)


def meet(near: Leg, far: Leg) -> None:
    """Both hear of each other."""
    if near.session.data.dialog.session_id:
        here, there = uuid_of(near), uuid_of(far)
        _say(near, there, here)
        _say(far, here, there)


def uuid_of(leg: Leg) -> str:
    """That of a leg's peer."""
    data = leg.session.data
    if not data.uuid:
        data.uuid = new_uuid()
    return data.uuid


def _say(leg: Leg, local: str, remote: str) -> None:
    data = leg.session.data
    data.dialog.session_id = said = written(local, remote)
    for dialog in data.early.values():
        dialog.session_id = said
