"""What a trunk's calls towards us are known by, and which numbers they may show. Pure.

The settings stand here; ``whose`` finds the trunk to which a request belongs.
"""

import re
from collections.abc import Iterable, Mapping

import attrs

from softswitch.errors import SipSyntaxError
from softswitch.plugin.views import CalledFrom, RequestView
from softswitch.sip.fields import NameAddr, split_values
from softswitch.sip.uri import Uri

#: Header fields by which a caller is named besides From.
_NAMING = ("P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID")

#: A whole number in E.164, which is no regular expression because of its plus.
_E164 = re.compile(r"\+[0-9]+")


def number_pattern(text: str) -> re.Pattern[str]:
    """What a list of numbers has: a number, ``+441234``, or a regular expression for whole ones.

    :raises re.error: it is neither.
    """
    return re.compile(re.escape(text) if _E164.fullmatch(text) else text)


def _patterns(texts: Iterable[str]) -> tuple[re.Pattern[str], ...]:
    return tuple(map(number_pattern, texts))


def _listed(patterns: Iterable[re.Pattern[str]], number: str) -> bool:
    return any(pattern.fullmatch(number) for pattern in patterns)


@attrs.frozen
class Inbound:
    """How a trunk calls us.

    :ivar username: with which it answers our challenges; "" where only its address tells.
    :ivar ha1: algorithm -> hex digest of ``username:realm:password`` (RFC 7616 3.4.2).
    :ivar registers: whether it registers to us, and is reached where it did so last.
    :ivar certificates: names one of which a certificate must bear that makes a request its own; a
        wildcard as it stands there. Empty where no certificate is asked for.
    :ivar hosts: of trunks that share a source, calls to these hosts are this one's; lower case.
    :ivar dialled: likewise calls of these numbers.
    :ivar called_from: where the number that it calls is read.
    :ivar owned: the numbers that its calls may show; empty for any.
    :ivar default_number: is shown instead of one that it does not own; "" to refuse such calls.
    """

    username: str = ""
    ha1: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    registers: bool = False
    certificates: frozenset[str] = frozenset()
    hosts: tuple[str, ...] = ()
    dialled: tuple[re.Pattern[str], ...] = attrs.field(default=(), converter=_patterns)
    called_from: CalledFrom = "request-uri"
    owned: tuple[re.Pattern[str], ...] = attrs.field(default=(), converter=_patterns)
    default_number: str = ""

    def fits(self, request: RequestView) -> bool:
        """Whether a request is one of those that tell this trunk from others at its source."""
        if self.hosts and request.uri.host.lower() not in self.hosts:
            return False
        if not self.dialled:
            return True
        return _listed(self.dialled, request.called(self.called_from).unquoted_user)

    def owns(self, number: str) -> bool:
        """Whether a number is one of its own."""
        return _listed(self.owned, number)

    def shown(self, request: RequestView) -> str | None:
        """The number that stands for the caller of a request where what he shows himself does not.

        Whoever calls anonymously shows none, and stays so.

        :returns: "" where he shows nothing but numbers of the trunk; None where he shows others
            and there is no default.
        """
        if not self.owned:
            return ""
        named = [request.from_.uri]
        for name in _NAMING:
            values = [value for line in request.headers(name) for value in split_values(line)]
            named.extend(map(_uri, values))
        shown = [uri for uri in named if not uri.is_anonymous]
        if not shown:
            return self.default_number
        if all(self.owns(_number(uri)) for uri in shown):
            return ""
        return self.default_number or None


def _uri(value: str) -> Uri:
    """The URI in a field's value; one that means nobody where it cannot be read."""
    try:
        return NameAddr.parse(value).uri
    except SipSyntaxError:
        return Uri("sip", user="", host="invalid")


def _number(uri: Uri) -> str:
    """The user part, or the number, without parameters."""
    return uri.unquoted_user.partition(";")[0]
