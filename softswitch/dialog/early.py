"""The early dialogs of our INVITE, one for each To tag in a provisional response (RFC 3261 12.1.2).
Pure.

Each can be reached by its callee, and keeps what that callee says. The one that answers becomes
the session's dialog (RFC 3261 13.2.2.4); a 199 ends one (RFC 6228), as does its callee's BYE.
"""

from typing import TYPE_CHECKING

from softswitch.dialog.dialog import Dialog
from softswitch.errors import SipSyntaxError
from softswitch.flow import Flow
from softswitch.sip.message import Response

if TYPE_CHECKING:
    from softswitch.dialog.side import Side


def open_dialog(session: "Side", tag: str, response: Response, flow: Flow) -> None:
    """Make the early dialog of a provisional response; none where it cannot be read."""
    data = session.data
    dialog = data.dialog.another()
    try:
        dialog.established(response, flow)
    except SipSyntaxError:
        return
    data.early[tag] = dialog
    session.agent.open_as(dialog.key, session)


def drop(session: "Side", tag: str) -> Dialog | None:
    """An early dialog is over, or becomes the session's own."""
    data = session.data
    dialog = data.early.get(tag)
    if dialog is not None:
        data.dialog.local_cseq = last_cseq(session)
        del data.early[tag]
        session.agent.close_as(dialog.key, session)
    return dialog


def answered(session: "Side", response: Response, flow: Flow) -> None:
    """The first 2xx: its dialog is the session's, and there is no other any more.

    :raises SipSyntaxError: when it does not say how to reach the callee.
    """
    data = session.data
    dialog = data.dialog
    if data.early:
        dialog = data.early.get(response.to.tag or "", dialog)
        dialog.local_cseq = last_cseq(session)
    dialog.established(response, flow, anew=True)
    drop_all(session)
    data.dialog = dialog


def drop_all(session: "Side") -> None:
    """No early dialog is left."""
    for tag in list(session.data.early):
        drop(session, tag)


def last_cseq(session: "Side") -> int:
    """The highest CSeq of any dialog of our INVITE.

    They share their numbers, so that the BYE to a fork whose 2xx comes late, long after its early
    dialog was dropped, is still in order.
    """
    data = session.data
    return max(data.dialog.local_cseq, *[each.local_cseq for each in data.early.values()])
