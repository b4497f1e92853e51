"""What a trunk has to do with signed numbers: RFC 8224, RFC 8588. Pure."""

from collections.abc import Callable
from typing import Literal, Protocol

import attrs

from softswitch.plugin.verification import Attestation
from softswitch.plugin.views import Identity
from softswitch.sip.message import Field
from softswitch.sip.passport import Claims

#: What is signed: SHAKEN's claims, or those of RFC 8225 alone, in full or in the compact form.
Form = Literal["shaken", "full", "compact"]


@attrs.frozen
class TrunkStir:
    """How the numbers of a trunk's calls are dealt with.

    :ivar verify: of calls that come from it: "off", "tag" (the verdict goes on with the call), or
        "require" (what does not pass is refused).
    :ivar sign: whether calls to it are signed.
    :ivar passport: in which form.
    :ivar attest: how far we vouch for the numbers of calls that come from it, when they go on to
        others; "" for as far as is known.
    """

    verify: Literal["off", "tag", "require"] = "off"
    sign: bool = False
    passport: Form = "shaken"
    attest: Attestation | Literal[""] = ""


class Signs(Protocol):
    """Signs calls: what has our key and certificate."""

    def may_use(self, who: Identity, number: str, read: Callable[[str], str]) -> bool:
        """Whether a number is that of a user of ours.

        :param number: digits.
        :param read: a number as he writes it, in E.164; "" for what is none.
        """

    def origid(self, who: Identity) -> str:
        """What stands for whoever calls, the same each time (RFC 8588 5)."""

    def now(self) -> float:
        """Unix time, seconds."""

    def sign(self, claims: Claims, form: Form) -> list[Field]:
        """The fields that say so; none where our certificate is good no more."""
