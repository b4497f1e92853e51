"""Busy lamps: the switch is the notifier of its users' calls, event ``dialog`` (RFC 4235). Pure.

The document tells of the user's own dialogs as his phones see them. Each is the other end of a leg
of ours, so that an INVITE with Replaces (RFC 3891) that names one finds that leg, and picks the
call up. Another name stands for the Call-ID: whoever knew that, and the tags, could speak in the
user's name within the dialog.
"""

from collections.abc import Callable
from xml.sax.saxutils import escape, quoteattr

from softswitch.b2bua.leg import LegData
from softswitch.dialog.dialog import Dialog
from softswitch.dialog.stateagent import document
from softswitch.dialog.usage import Life
from softswitch.errors import SipSyntaxError
from softswitch.plugin.views import Identity
from softswitch.sip.compose import new_name
from softswitch.sip.fields import NameAddr


class Lamps:
    """Which legs each user has, and the document that tells of them.

    :ivar changed: told of a user whose calls are others now; assigned before anything happens.
    :param address_of_record: the URI of a user of that name.
    """

    name = "dialog"
    content_type = "application/dialog-info+xml"

    def __init__(self, address_of_record: Callable[[str], str]) -> None:
        self.changed: Callable[[str], None]
        self._address_of_record = address_of_record
        self._legs: dict[str, list[LegData]] = {}
        self._shown_as: dict[str, LegData] = {}

    # What the calls tell.

    def leg_began(self, leg: LegData) -> None:
        """A leg is there; one that leads to none of our phones lights no lamp."""
        if leg.peer:
            self._legs.setdefault(leg.peer, []).append(leg)
            self.changed(leg.peer)

    def leg_changed(self, leg: LegData) -> None:
        """It rings, it was answered, or its peer is told another name."""
        if leg.peer:
            self.changed(leg.peer)

    def leg_ended(self, leg: LegData) -> None:
        """It is gone; harmless when repeated."""
        if not leg.peer:
            return
        left = [other for other in self._legs.get(leg.peer, ()) if other is not leg]
        if left:
            self._legs[leg.peer] = left
        else:
            self._legs.pop(leg.peer, None)
        self._shown_as.pop(leg.shown_as, None)
        self.changed(leg.peer)

    # What calls ask.

    def call_id(self, named: str) -> str:
        """The Call-ID that somebody means who picks up a call; another stays as it is."""
        leg = self._shown_as.get(named)
        return named if leg is None else leg.session.dialog.call_id

    # The package, for the state agent.

    def allows(self, watcher: Identity, user: str) -> bool:
        """Every user of ours may watch every other."""
        return watcher.kind == "user"

    def document(self, user: str, version: int) -> bytes:
        """All dialogs of a user (RFC 4235 4)."""
        entity = self._address_of_record(user)
        lines = [
            '<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info"'
            f' version="{version}" state="full" entity={quoteattr(entity)}>'
        ]
        for leg in self._legs.get(user, ()):
            session = leg.session
            leg.shown_as = leg.shown_as or new_name()
            self._shown_as[leg.shown_as] = leg
            early = list(session.early.values()) if session.life is Life.EARLY else []
            for dialog in early or [session.dialog]:
                lines += self._shown(entity, leg, dialog)
        return document([*lines, "</dialog-info>"])

    def _shown(self, entity: str, leg: LegData, dialog: Dialog) -> list[str]:
        """One dialog. Its tags are the user's, so that what is local to us is remote to him."""
        calls = not leg.session.calling
        known = bool(dialog.remote_tag)
        state = "early" if known else "trying"
        if leg.session.life is not Life.EARLY:
            state = "confirmed"
        attributes = {"id": f"{leg.shown_as}{dialog.remote_tag}", "call-id": leg.shown_as}
        if known:
            attributes |= {"local-tag": dialog.remote_tag, "remote-tag": dialog.local_tag}
        attributes["direction"] = "initiator" if calls else "recipient"
        written = " ".join(f"{name}={quoteattr(value)}" for name, value in attributes.items())
        return [
            f"  <dialog {written}>",
            f"    <state>{state}</state>",
            f"    <local><identity>{escape(entity)}</identity></local>",
            f"    {_remote(leg.talks_to or dialog.local)}",
            "  </dialog>",
        ]


def _remote(named: str) -> str:
    """Who is at the other end, as the user himself was told."""
    try:
        told = NameAddr.parse(named)
    except SipSyntaxError:
        return "<remote/>"
    uri = str(told.uri)
    display = f" display={quoteattr(told.display)}" if told.display else ""
    target = f"<target uri={quoteattr(uri)}/>"
    return f"<remote><identity{display}>{escape(uri)}</identity>{target}</remote>"
