"""Of which class a destination is: national, international, premium, or an operator's own. Pure.

The number counts that leaves, as its trunk reads numbers; where that is none that anybody can read,
the one that was dialled. Who means to deceive writes it so that we read nothing and the network
reads all of it: with digits too many, which exchanges ignore, with zeros, separators and codes of
services before it, or with a ``phone-context``. So what is no number at first sight is looked at
again.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from phonenumbers import (
    NumberParseException,
    PhoneMetadata,
    PhoneNumberFormat,
    PhoneNumberType,
    country_code_for_region,
    format_number,
    number_type,
    parse,
    truncate_too_long_number,
)

from softswitch.plugin.numbering import PLAIN, Numbering

#: Numbers whose class is remembered.
_KEPT: Final = 8192

#: Of no country: Inmarsat, Globalstar and Iridium, international networks.
_SATELLITE: Final = frozenset((870, 881, 882, 883))

#: What costs the caller more than a call.
_PREMIUM: Final = frozenset((PhoneNumberType.PREMIUM_RATE, PhoneNumberType.PERSONAL_NUMBER))

#: Characters of what is dialled that are looked at, and digits of a number with its country's.
_LOOKED_AT: Final = 64
_DIGITS: Final = 17
#: Digits behind a prefix for abroad that are a number at least.
_LEAST: Final = 7

_SEPARATORS: Final = str.maketrans("", "", "-.() ")
_DIALLED: Final = re.compile(r"\+*[0-9]+")
#: What is dialled before a number, as to hide one's own.
_SERVICE: Final = re.compile(r"(?:(?:[*#]+[0-9]{2,3}[*#]|\*[0-9]{2})(?=[+*#0-9]{7}))+")
_CONTEXT: Final = re.compile(r";phone-context=(\+[-.()0-9]+)", re.IGNORECASE)


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
        self._called: dict[tuple[str, str | None, str | None], tuple[str, str]] = {}

    def called(
        self,
        trunk: str,
        told: str | None,
        dialled: str | None,
        numbering: Numbering,
        home: Numbering,
    ) -> tuple[str, str]:
        """The number that counts of a call, and its class.

        :param trunk: its name.
        :param told: the number that it is told, as it stands in a URI; likewise ``dialled``.
        :param numbering: the trunk's.
        :param home: that of whoever has numbers dialled over it.
        """
        call = trunk, told, dialled
        found = self._called.get(call)
        if found is None:
            number = read(unquote(told or ""), numbering, home)
            found = number, self.of(number)
            if found[1] == "local":
                number = read(unquote(dialled or ""), home)
                if (other := self.of(number)) != "local":
                    found = number, other
            if len(self._called) >= _KEPT:
                self._called.clear()
            if max(len(told or ""), len(dialled or "")) <= _LOOKED_AT:
                self._called[call] = found
        return found

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
        try:
            found = parse(number[: 1 + _DIGITS])
        except NumberParseException:
            return "international" if self._home else "local"
        if found.country_code in _SATELLITE:
            return "satellite"
        truncate_too_long_number(found)
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
    number, _, params = text[:_LOOKED_AT].partition(";")
    bare = _SERVICE.sub("", number.translate(_SEPARATORS)).rstrip("#")
    if not _DIALLED.fullmatch(bare):
        return number
    context = _CONTEXT.search(f";{params}")
    if context is not None and not bare.startswith("+"):
        bare = context[1].translate(_SEPARATORS) + bare
    if bare.startswith("+"):
        bare = "+" + bare.lstrip("+0")
        return numbering.read(bare) or home.read(bare) or bare
    if numbering.called == "digits":
        found = numbering.read(f"+{bare}") or _shortened(f"+{bare}", "")
        if found:
            return found
    found = numbering.read(bare) or home.read(bare)
    if found:
        return found
    for country in dict.fromkeys((numbering.country, home.country)):
        found = _from_abroad(bare, country) or (country and _shortened(bare, country))
        if found:
            return found
    return bare


@lru_cache(_KEPT)
def _from_abroad(text: str, country: str) -> str:
    """What follows the prefix for abroad, with a plus; "" where there is none. A country that is
    not known is one of the many where that is 00."""
    about = PhoneMetadata.metadata_for_region(country) if country else None
    prefix = re.match("00" if about is None else about.international_prefix or "00", text)
    rest = "" if prefix is None else text[prefix.end() :].lstrip("0")
    return f"+{rest}" if len(rest) >= _LEAST else ""


@lru_cache(_KEPT)
def _shortened(text: str, country: str) -> str:
    """A number to which digits were added, without them; "" where there is none in it."""
    try:
        found = parse(text[: 1 + _DIGITS], country or None)
    except NumberParseException:
        return ""
    return format_number(found, PhoneNumberFormat.E164) if truncate_too_long_number(found) else ""
