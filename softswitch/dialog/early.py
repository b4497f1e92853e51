"""The early dialogs of our INVITE, one for each To tag in a provisional response (RFC 3261 12.1.2).
Pure.

Each can be reached by its callee, and keeps what that callee says. The one that answers becomes
the session's dialog (RFC 3261 13.2.2.4); a 199 ends one (RFC 6228), as does its callee's BYE.
"""

from typing import TYPE_CHECKING

from softswitch.dialog.requester import Requester, take_down
from softswitch.errors import SipSyntaxError
from softswitch.flow import Flow
from softswitch.sip.message import Response

if TYPE_CHECKING:
    from softswitch.dialog.exchange import Exchange


def open_dialog(session: "Exchange", tag: str, response: Response, flow: Flow) -> None:
    """Make the early dialog of a provisional response; none where it cannot be read."""
    data = session.data
    dialog = data.dialog.another()
    try:
        dialog.established(response, flow)
    except SipSyntaxError:
        return
    data.early[tag] = dialog
    session.agent.open(dialog.key, session)


def drop(session: "Exchange", tag: str) -> None:
    """An early dialog is over."""
    data = session.data
    if tag in data.early:
        dialog = data.early.pop(tag)
        data.last_cseq = max(data.last_cseq, dialog.local_cseq)
        session.agent.close(dialog.key, session)
        if data.update is not None and data.update.tag == tag:
            session.updates.lose()


def drop_all(session: "Exchange") -> None:
    """No early dialog is left."""
    for tag in list(session.data.early):
        drop(session, tag)


def answered(session: "Exchange", response: Response, flow: Flow) -> None:
    """The first 2xx: its dialog is the session's, and there is no other any more.

    :raises SipSyntaxError: when it does not say how to reach the callee.
    """
    data = session.data
    dialog = data.dialog
    if data.early:
        dialog = data.early.get(response.to.tag or "", dialog)
    dialog.established(response, flow)
    data.early.pop(response.to.tag or "", None)
    data.dialog = dialog
    drop_all(session)


def take_down_or_acknowledge(session: "Exchange", response: Response, requester: Requester) -> None:
    """Another 2xx (RFC 3261 13.2.2.4): a copy is acknowledged again, a fork is ended."""
    data = session.data
    if response.to.tag == data.dialog.remote_tag:
        if data.ack is not None and data.ack.cseq.number == response.cseq.number:
            session.agent.send_ack(data.ack, data.dialog)
        return
    assert requester.flow is not None
    take_down_fork(session, response, requester.flow)


def take_down_fork(session: "Exchange", response: Response, flow: Flow) -> None:
    """End what a 2xx to our INVITE has made."""
    dialog, last = session.data.dialog, session.data.last_cseq
    last = max(last, dialog.local_cseq)
    credentials = session.credentials
    take_down(session.agent, dialog, response, flow, session.scope, last, credentials)
