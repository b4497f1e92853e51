"""The Replaces field (RFC 3891) and the Refer-To that may carry one (RFC 3515). Pure."""

import re
from typing import Final, Self
from urllib.parse import unquote

import attrs

from softswitch.errors import SipSyntaxError
from softswitch.sip.fields import NameAddr, parse_params
from softswitch.sip.message import Message
from softswitch.sip.uri import Uri


@attrs.frozen
class Replaces:
    """Which dialog a new one takes the place of.

    :ivar to_tag: tag of the side that the field is sent to.
    :ivar from_tag: tag of the other side.
    :ivar early_only: whether only a dialog that has not been answered is meant.
    """

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool = False

    @classmethod
    def parse(cls, value: str) -> Self:
        """Read a field value.

        :raises SipSyntaxError: no Call-ID, or a tag is missing.
        """
        call_id, semicolon, rest = value.partition(";")
        params = parse_params(semicolon + rest)
        to_tag, from_tag = params.get("to-tag"), params.get("from-tag")
        call_id = call_id.strip(" \t")
        if not _WORD.fullmatch(call_id) or not to_tag or not from_tag or '"' in to_tag + from_tag:
            raise SipSyntaxError("Bad Replaces", header="Replaces")
        return cls(call_id, to_tag, from_tag, "early-only" in params)

    @classmethod
    def of(cls, message: Message) -> Self | None:
        """That of a message; None without one.

        :raises SipSyntaxError: more than one, or it cannot be read.
        """
        values = message.all("Replaces")
        if len(values) > 1:
            raise SipSyntaxError("Several Replaces", header="Replaces")
        return cls.parse(values[0]) if values else None

    def __str__(self) -> str:
        flag = ";early-only" if self.early_only else ""
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{flag}"


@attrs.frozen
class ReferTo:
    """Whom a transferee is to call.

    :ivar uri: without the header fields that stood in it.
    :ivar replaces: the dialog at the target whose place the call takes; None for none.
    """

    uri: Uri
    replaces: Replaces | None = None

    @classmethod
    def of(cls, request: Message) -> Self:
        """That of a REFER.

        :raises SipSyntaxError: not exactly one Refer-To (RFC 3515 2.4.2), one that cannot be read,
            or one for something else than a call.
        """
        values = request.all("Refer-To")
        if len(values) != 1:
            raise SipSyntaxError("Not One Refer-To", header="Refer-To")
        uri = NameAddr.parse(values[0]).uri
        method = uri.params.get("method", "INVITE")
        if uri.scheme not in ("sip", "sips", "tel") or method != "INVITE":
            raise SipSyntaxError("Refer-To Is No Call", header="Refer-To")
        headers = {name.lower(): unquote(value) for name, value in uri.headers.items()}
        replaces = headers.get("replaces")
        params = {name: value for name, value in uri.params.items() if name != "method"}
        return cls(
            attrs.evolve(uri, headers={}, params=params),
            None if replaces is None else Replaces.parse(replaces),
        )


# In a URI's header it was escaped (RFC 3261 19.1.1): whatever it hides must not become a line.
_WORD: Final = re.compile(r"[^\x00-\x20\x7f]++")
