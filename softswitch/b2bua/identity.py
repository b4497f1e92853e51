"""Who a peer is told that it talks to: asserted identities, privacy, connected parties. Pure.

RFC 3325 (P-Asserted-Identity), RFC 3323 (Privacy), RFC 8224 (Identity), and Remote-Party-ID for
those who know nothing else. Trust is a cell of the peer's profile. What a trusted peer asserts is
believed, and a user of ours is who he has proved to be. Trusted peers are told of it, together
with the caller's wish for privacy; towards everybody else the switch performs that wish itself.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, Literal

import attrs

from softswitch.b2bua import crossing, verstat
from softswitch.errors import SipSyntaxError
from softswitch.plugin.profile import Profile
from softswitch.plugin.views import Identity
from softswitch.sip.fields import NameAddr
from softswitch.sip.message import Field, Message, Request
from softswitch.sip.uri import Uri
from softswitch.trunk.group import escape_user

#: Which side of the call an identity belongs to, for Remote-Party-ID.
Party = Literal["calling", "called"]


@attrs.define
class Presented:
    """How a caller is shown to a peer.

    :ivar from_: From value, without a tag.
    :ivar contact_user: user part of our Contact, "" for none.
    :ivar fields: header fields that name the caller, or say what he wishes.
    :ivar hidden: header fields that must not cross, by their canonical names.
    """

    from_: str
    contact_user: str
    fields: list[Field] = attrs.Factory(list)
    hidden: frozenset[str] = frozenset()

    def visible(self, fields: list[Field]) -> list[Field]:
        """Those of ``fields`` that may cross."""
        if not self.hidden:
            return fields
        return [field for field in fields if field[0] not in self.hidden]

    def say(self, from_: str) -> None:
        """Show the caller so; what was signed for another goes (RFC 8224 4.1)."""
        if _claim(NameAddr.parse(from_).uri) != _claim(NameAddr.parse(self.from_).uri):
            self.fields = [field for field in self.fields if field[0] not in ("Identity", "Date")]
        self.from_ = from_


def present(
    invite: Request,
    who: Identity,
    near: Profile,
    far: Profile,
    host: str,
    called: str,
    relayed: bool = True,
) -> Presented:
    """How the caller is shown to the peer to whom the call goes.

    :param who: who called.
    :param near: the caller's profile.
    :param far: the peer's.
    :param host: an address or name of ours that stands for the caller's.
    :param called: URI of the new leg's To.
    :param relayed: whether the media goes through us, which is what "session" asks for.
    """
    get = invite.get
    believes = "rpid" in near.believed
    wishes = _wishes(invite, near) if believes or get("Privacy") is not None else _NOTHING
    withholds = bool(wishes) and not _WITHHELD.isdisjoint(wishes)
    hides = withholds and not far.trusted
    if hides or (withholds and far.clir == "anonymous"):
        from_, user = crossing.NOBODY, "anonymous"
    else:
        number, display = who.number, ""
        if far.numbering.shows:
            display = "" if number else invite.from_.display
            own = verstat.bare_user(number or invite.from_.uri.unquoted_user)
            number = far.numbering.shown(own, near.numbering)
        from_ = crossing.caller(invite, host, number, display)
        bare = from_ == crossing.NOBODY or (not far.trusted and "header" in wishes)
        own = escape_user(number) or invite.from_.uri.user or ""
        if not number and (";" in own or "%" in own):
            own = verstat.bare(invite.from_.uri).user or ""
        user = "anonymous" if bare else own
        if far.trusted and "from" in far.verstat and not (who.number or far.numbering.caller_id):
            from_ = verstat.with_verstat(from_, verstat.worth(invite.from_.uri, who, near))
    fields: list[Field] = []
    if far.trusted or wishes:
        fields += _asserted(invite, who, near, far, host, "calling", wishes)
        fields += _still_wished(invite, far, wishes, relayed)
    if far.trusted and far.verstat and who.verification is not None:
        fields += verstat.attested(who.verification)
    if get("Identity") is not None or get("Date") is not None:
        fields += _signed(invite, who, near, from_, called)
    return Presented(from_, user, fields, _INFORMATIONAL if hides else _NOTHING)


def asserted(
    message: Message, who: Identity, near: Profile, far: Profile, host: str, party: Party = "called"
) -> list[Field]:
    """The fields that name the sender of a response, or of a request within a dialog, to a peer.

    :param who: whose leg the message came on.
    """
    if not far.trusted and message.get("Privacy") is None:
        return []
    wishes = _wishes(message, near)
    fields = _asserted(message, who, near, far, host, party, wishes)
    if far.trusted and wishes:
        fields.append(("Privacy", ";".join(sorted(wishes))))
    return fields


def connected(
    profile: Profile,
    name: str,
    number: str,
    host: str,
    party: Party = "called",
    private: bool = False,
) -> list[Field]:
    """What tells a peer, in an UPDATE or a re-INVITE, who it talks to now.

    :param profile: the peer's, whose ``connected`` says how.
    :param name: display name, or "".
    :param number: user name or number without escapes.
    :param host: an address or name of ours.
    :param party: "called" where the peer made the call, "calling" where it was called.
    :param private: whether that party wants to stay unknown; a trusted peer keeps it to itself.
    """
    if profile.connected == "none" or (private and not profile.trusted):
        return []
    if profile.numbering.shows:
        number = profile.numbering.shown(number, profile.numbering)
    value = str(NameAddr(name, Uri("sip", user=escape_user(number) or None, host=host)))
    if profile.connected == "rpid":
        return [_remote_party(value, party, private)]
    wish: list[Field] = [("Privacy", "id")] if private else []
    return [("P-Asserted-Identity", value), *wish]


def refusal(invite: Request, relayed: bool = True) -> tuple[int, str] | None:
    """What answers an INVITE whose privacy is critical and cannot be had (RFC 3323 5).

    :param relayed: whether the media would go through us.
    """
    if invite.get("Privacy") is None:
        return None
    wishes = _values(invite)
    performable = _PERFORMABLE if relayed else _PERFORMABLE - {"session"}
    if "critical" in wishes and not wishes <= performable:
        return 500, "Privacy Cannot Be Provided"
    return None


def withheld(message: Message, of: Iterable[str] = ("id", "user")) -> bool:
    """Whether the sender wishes one of these kinds of privacy."""
    return message.get("Privacy") is not None and not _values(message).isdisjoint(of)


def _values(message: Message) -> frozenset[str]:
    """Priv-values in lower case (RFC 3323 4.2); some part them by commas."""
    found = (each.strip().lower() for line in message.all("Privacy") for each in _PART.split(line))
    return frozenset(filter(None, found))


def _wishes(message: Message, near: Profile) -> frozenset[str]:
    """What privacy the sender wishes for."""
    wishes = _NOTHING
    if message.get("Privacy") is not None:
        wishes = _values(message)
        if "none" in wishes:
            return _NONE
    if "rpid" in near.believed:
        party = _party(message)
        if party is not None and (party.params.get("privacy") or "off").lower() != "off":
            wishes |= {"id"}
    return wishes


def _party(message: Message) -> NameAddr | None:
    """The first Remote-Party-ID; None where it cannot be read."""
    try:
        return NameAddr.parse(next(iter(message.values("Remote-Party-ID")), ""))
    except SipSyntaxError:
        return None


def _believed(message: Message, who: Identity, near: Profile, host: str) -> list[str]:
    """Who the sender is, as far as we vouch for it: values of P-Asserted-Identity."""
    if who.number:
        return [str(NameAddr("", Uri("sip", user=escape_user(who.number), host=host)))]
    for place in near.believed:
        if place == "pai":
            values = _read(message.values("P-Asserted-Identity")[:_IDENTITIES])
        else:
            values = _named(_party(message) if place == "rpid" else message.from_)
        if values:
            return values
    if who.kind != "user":
        return []
    display = who.display or _preferred(message, who)
    uri = Uri("sip", user=escape_user(who.name), host=who.domain or host)
    return [str(NameAddr(display, uri))]


def _read(values: Iterable[str]) -> list[str]:
    """Identities composed anew, so that nobody reads others in them than we do; what cannot be read
    asserts nobody."""
    found = []
    for value in values:
        with suppress(SipSyntaxError):
            named = NameAddr.parse(value)
            found.append(str(NameAddr(named.display, named.uri)))
    return found


def _named(party: NameAddr | None) -> list[str]:
    """Who a peer says that he is, with nothing but that; none where he says nobody."""
    if party is None or party.uri.host.lower() == crossing.ANONYMOUS:
        return []
    return [str(NameAddr(party.display, party.uri))]


def _preferred(message: Message, who: Identity) -> str:
    """The display name that a user prefers, where he prefers an identity that he has."""
    for value in message.values("P-Preferred-Identity"):
        try:
            preferred = NameAddr.parse(value)
        except SipSyntaxError:
            continue
        if preferred.uri.unquoted_user == who.name:
            return preferred.display
    return ""


def _asserted(
    message: Message,
    who: Identity,
    near: Profile,
    far: Profile,
    host: str,
    party: Party,
    wishes: frozenset[str],
) -> list[Field]:
    """To the trusted, what is believed; to others only where that is wished for (RFC 3325 7)."""
    if not far.trusted and "none" not in wishes:
        return []
    values, worths = _believed(message, who, near, host), None
    if not who.number and (who.verification or verstat.NAME in ",".join(values).lower()):
        values, worths = verstat.taken_off(values, who, near)
    if far.numbering.shows:
        values = [_renumbered(value, near, far) for value in values]
    told = far.trusted and "pai" in far.verstat and not far.numbering.caller_id
    if worths is not None and told:
        values = verstat.put_on(values, worths)
    private = not _WITHHELD.isdisjoint(wishes)
    fields: list[Field] = []
    for way in far.told if far.trusted else ("pai",):
        if way == "pai":
            fields += [("P-Asserted-Identity", value) for value in values]
        else:
            fields += [_remote_party(value, party, private) for value in values[:1]]
    return fields


def _renumbered(value: str, near: Profile, far: Profile) -> str:
    """An identity as the far peer writes numbers; one of a TEL URI has a plus, or stays."""
    try:
        named = NameAddr.parse(value)
    except SipSyntaxError:
        return value
    number = far.numbering.shown(named.uri.unquoted_user, near.numbering)
    if named.uri.scheme == "tel" and not number.startswith("+"):
        return value
    return str(attrs.evolve(named, uri=attrs.evolve(named.uri, user=escape_user(number))))


def _remote_party(value: str, party: Party, private: bool) -> Field:
    privacy = "full" if private else "off"
    return ("Remote-Party-ID", f"{value};party={party};screen=yes;privacy={privacy}")


def _still_wished(
    invite: Request, far: Profile, wishes: frozenset[str], relayed: bool
) -> list[Field]:
    """Privacy until it has been performed. Who calls as nobody would not have a trusted peer
    show the identity that we add."""
    if far.trusted:
        left = wishes or (frozenset({"id"}) if crossing.is_anonymous(invite) else wishes)
    else:
        left = wishes - (_PERFORMED | {"session"} if relayed else _PERFORMED)
        if left == {"critical"}:
            left = frozenset()
    return [("Privacy", ";".join(sorted(left)))] if left else []


def _signed(invite: Request, who: Identity, near: Profile, from_: str, called: str) -> list[Field]:
    """Identity and Date, unless they sign for others than are named now (RFC 8224 4.1). Of a peer
    who is not trusted, only what has passed."""
    verdict = who.verification
    signatures: list[Field] = [("Identity", value) for value in invite.all("Identity")]
    if signatures and not (near.trusted if verdict is None else verdict.passed):
        return []
    date = invite.get("Date")
    shown, dialled = NameAddr.parse(from_).uri, Uri.parse(called)
    if _claim(shown) != _claim(invite.from_.uri) or _claim(dialled) != _claim(invite.to.uri):
        return []
    return signatures if date is None else [*signatures, ("Date", date)]


def _claim(uri: Uri) -> str:
    """What a signature says of an address: a number by its digits, else user and host (8.3)."""
    user = uri.unquoted_user.partition(";")[0]
    digits = _SEPARATORS.sub("", user)
    if digits.isascii() and digits.isdigit():
        return digits
    return f"{user}@{uri.host.lower()}"


#: Of one sender: a SIP and a TEL URI (RFC 3325 9.1).
_IDENTITIES: Final = 2
#: "id" alone speaks of P-Asserted-Identity. But From is ours, and a caller who withholds his
#: number does not want it shown there by a phone that left it in.
_WITHHELD: Final = frozenset(("id", "user"))
#: What the switch does by itself, besides "session" where it relays the media.
_PERFORMED: Final = frozenset(("id", "user", "header", "history"))
_NOTHING: Final[frozenset[str]] = frozenset()
_NONE: Final = frozenset({"none"})
_PERFORMABLE: Final = _PERFORMED | _NONE | {"session", "critical"}
#: What a caller who wishes to be unknown does not tell either (RFC 3323 5.3, RFC 5379).
_INFORMATIONAL: Final = frozenset(
    (
        *("Subject", "Call-Info", "Organization", "Reply-To", "In-Reply-To"),
        *("Referred-By", "Warning"),
    )
)
_PART: Final = re.compile("[;,]")
_SEPARATORS: Final = re.compile(r"^\+|[-.() ]")
