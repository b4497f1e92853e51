"""Of which class a destination is: national, international, premium, or an operator's own. Pure.

The number counts that leaves, as its trunk reads numbers; where that is none that anybody can read,
the one that was dialled.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from phonenumbers import (
    NumberParseException,
    PhoneNumberType,
    country_code_for_region,
    number_type,
    parse,
)

from softswitch.plugin.numbering import PLAIN, Numbering

#: Numbers whose class is remembered.
_KEPT: Final = 8192

#: Of no country: Inmarsat, Globalstar and Iridium, international networks.
_SATELLITE: Final = ("+870", "+881", "+882", "+883")

#: What costs the caller more than a call.
_PREMIUM: Final = frozenset((PhoneNumberType.PREMIUM_RATE, PhoneNumberType.PERSONAL_NUMBER))


class Destinations:
    """The classes of one configuration.

    :param classes: the operator's own: name -> prefixes, with a plus for those of E.164. The
        longest that fits counts, before what is known of numbers.
    :param home: two letters of the country where we are; "" where nobody knows: then nothing is
        international.
    """

    def __init__(self, classes: Mapping[str, Sequence[str]], home: str = "") -> None:
        self._prefixes = {prefix: name for name, prefixes in classes.items() for prefix in prefixes}
        self._lengths = sorted({len(prefix) for prefix in self._prefixes}, reverse=True)
        self._home = country_code_for_region(home) if home else 0
        self._known: dict[str, str] = {}

    def of(self, number: str) -> str:
        """The class of a number in E.164, or of whatever else is dialled: "local" for what is no
        telephone number."""
        known = self._known.get(number)
        if known is None:
            known = self._own(number) or self._of(number)
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[number] = known
        return known

    def _own(self, number: str) -> str:
        for length in self._lengths:
            found = self._prefixes.get(number[:length])
            if found is not None:
                return found
        return ""

    def _of(self, number: str) -> str:
        if not number.startswith("+"):
            return "local"
        if number.startswith(_SATELLITE):
            return "satellite"
        try:
            found = parse(number)
        except NumberParseException:
            return "international" if self._home else "local"
        if number_type(found) in _PREMIUM:
            return "premium"
        abroad = self._home and found.country_code != self._home
        return "international" if abroad else "national"


def read(text: str, numbering: Numbering, home: Numbering = PLAIN) -> str:
    """A number as a trunk is told it, in E.164; the text itself where it is none that can be read.

    :param text: user part, without escapes.
    :param numbering: the trunk's.
    :param home: that of whoever has numbers dialled over it.
    """
    text = text.partition(";")[0]
    if text.isascii() and text.isdigit():
        if numbering.called == "digits" and (found := numbering.read(f"+{text}")):
            return found
        if not numbering.country and not home.country and text.startswith("00"):
            text = f"+{text[2:]}"
    return numbering.read(text) or home.read(text) or text
