"""Telephone numbers as somebody writes them: read into E.164, written out of it. Pure.

What a number means without its country code depends on where it is dialled, and carriers differ in
how they want it. ``Numbering`` is one peer's habit: ``[numbering]`` of the configuration has
everybody's, ``[trunks.NAME.numbering]`` and ``[groups.NAME.numbering]`` say where somebody differs.

What is a number, and how a country writes it, is known by the library ``phonenumbers``. It takes 50
to 100 µs, so the answers for the numbers that occur last are kept, and nobody asks it for whom no
country is configured.
"""

import re
from functools import lru_cache
from typing import Final, Literal

import attrs
from phonenumbers import (
    SUPPORTED_REGIONS,
    CountryCodeSource,
    NumberParseException,
    PhoneMetadata,
    PhoneNumber,
    PhoneNumberFormat,
    ValidationResult,
    country_code_for_region,
    format_number,
    is_possible_number_with_reason,
    is_valid_number,
    parse,
)
from phonenumbers.shortnumberinfo import is_valid_short_number_for_region

#: How numbers are written: as they came; +442071838750; 442071838750; as one dials them from
#: abroad, 00442071838750 (011 from America); as at home, 02071838750, and from abroad for others.
NumberFormat = Literal["unchanged", "plus", "digits", "international", "national"]

#: Numbers whose meaning is kept.
_KEPT: Final = 8192

_SEPARATORS: Final = str.maketrans("", "", "-.() ")
_DIALLED: Final = re.compile(r"\+?[0-9]{3,20}")
_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_DIGITS: Final = re.compile(r"[^0-9]")


@attrs.frozen
class Numbering:
    """How a peer reads and writes numbers.

    :ivar country: two letters, ISO 3166: where the peer is. "" for a peer whose numbers without a
        plus nobody can read.
    :ivar area: area code without a leading 0: numbers that are but local belong there.
    :ivar called: how the number that is called is written to the peer.
    :ivar caller: how the caller's number is, wherever the peer is told of it.
    :ivar caller_id: a number that stands for the caller's own, in whatever form; "" for none.
    :ivar caller_id_for: whom it stands for: "unknown", who calls without a telephone number, or
        "all".
    :ivar shows: whether a caller's number may be shown to the peer as another than it came.
    """

    country: str = ""
    area: str = ""
    called: NumberFormat = "unchanged"
    caller: NumberFormat = "unchanged"
    caller_id: str = ""
    caller_id_for: Literal["unknown", "all"] = "unknown"
    shows: bool = attrs.field(init=False, eq=False, repr=False)

    @shows.default
    def _shows(self) -> bool:
        return self.caller != "unchanged" or self.caller_id != ""

    def __attrs_post_init__(self) -> None:
        """:raises ValueError: says which cell cannot hold what it does."""
        if self.country and self.country not in SUPPORTED_REGIONS:
            raise ValueError('country: two capital letters as "GB" are wanted, of a country')
        if self.area and not (self.area.isascii() and self.area.isdigit()):
            raise ValueError("area: the digits of an area code are wanted")
        if self.area and not self.country:
            raise ValueError("area: goes with a country")
        if not self.country:
            for key in ("called", "caller"):
                if getattr(self, key) in ("international", "national"):
                    raise ValueError(f'{key}: "{getattr(self, key)}" takes a country')
        if self.caller_id and self.country and not self.read(self.caller_id):
            raise ValueError("caller_id: a telephone number is wanted")
        if self.caller_id_for == "all" and not self.caller_id:
            raise ValueError("caller_id_for: goes with a caller_id")

    @property
    def cells(self) -> dict[str, str]:
        """What a table of the configuration says for this."""
        return {
            each.name: getattr(self, each.name) for each in attrs.fields(Numbering) if each.init
        }

    def read(self, text: str) -> str:
        """A number as the peer writes it, in E.164: "+442071838750".

        :returns: "" for what is no telephone number there: a name, an extension, a short code; and
            without a country for all that has no plus.
        """
        if not self.country:
            return text if _E164.fullmatch(text) else ""
        return _read(text, self.country, self.area)

    def dialled(self, text: str, reader: "Numbering") -> str:
        """A number that the peer is to call, as ``called`` has it; what is none stays as it is.

        :param text: as ``reader`` reads it.
        """
        return self._written(text, self.called, reader)

    def shown(self, text: str, reader: "Numbering") -> str:
        """A caller's number, as ``caller`` has it, or what stands for it.

        :param text: as ``reader`` reads it, or a name.
        """
        if self.caller_id and (self.caller_id_for == "all" or not reader.read(text)):
            text, reader = self.caller_id, self
        return self._written(text, self.caller, reader)

    def _written(self, text: str, form: NumberFormat, reader: "Numbering") -> str:
        if form == "unchanged":
            return text
        number = reader.read(text)
        if not number or form == "plus":
            return number or text
        return number[1:] if form == "digits" else _write(number, form, self.country)


#: Of whom nothing is known.
PLAIN: Final = Numbering()


@lru_cache(_KEPT)
def _read(text: str, country: str, area: str) -> str:
    """What is dialled with a plus, or as from abroad, is taken for a number if it is long enough:
    countries give out new ones. Without, it may as well be an extension, so that it has to be one
    that is in use."""
    bare = text.translate(_SEPARATORS)
    if not _DIALLED.fullmatch(bare):
        return ""
    found = _parsed(bare, country)
    if found is None:
        return ""
    whole = (
        CountryCodeSource.FROM_NUMBER_WITH_PLUS_SIGN,
        CountryCodeSource.FROM_NUMBER_WITH_IDD,
    )
    if found.country_code_source in whole:
        if is_possible_number_with_reason(found) == ValidationResult.IS_POSSIBLE:
            return format_number(found, PhoneNumberFormat.E164)
        return ""
    if is_valid_short_number_for_region(found, country):
        return ""
    if not is_valid_number(found) and area:
        found = _parsed(area + bare, country)
    if found is None or not is_valid_number(found):
        return ""
    return format_number(found, PhoneNumberFormat.E164)


@lru_cache(_KEPT)
def _write(number: str, form: NumberFormat, country: str) -> str:
    """A number in E.164 as it is dialled in a country."""
    if form == "national":
        found = _parsed(number, country)
        if found is not None and found.country_code == country_code_for_region(country):
            return _DIGITS.sub("", format_number(found, PhoneNumberFormat.NATIONAL))
    return _prefix(country) + number[1:]


def _prefix(country: str) -> str:
    """What one dials for abroad; where there are several ways, what most countries have."""
    about = PhoneMetadata.metadata_for_region(country)
    assert about is not None, country
    for prefix in (about.preferred_international_prefix, about.international_prefix):
        digits = (prefix or "").replace("~", "")
        if digits.isdigit():
            return digits
    return "00"


def _parsed(text: str, country: str) -> PhoneNumber | None:
    try:
        return parse(text, country, keep_raw_input=True)
    except NumberParseException:
        return None
