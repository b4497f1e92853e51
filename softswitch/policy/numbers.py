"""Which numbers a rule is for, and what it makes of them. Pure.

::

    match = "0([1-9][0-9]+)"               # a regular expression for the whole number, or
    begins = ["+44900", "+1900"]           # premium prefixes, or
    ranges = ["+442071838700-+442071838799"]   # a DID range, or
    numbers = ["112", "999"]               # short codes
"""

import re
from collections.abc import Iterable
from typing import Final

import attrs

from softswitch.b2bua.crossing import ANONYMOUS
from softswitch.errors import SipSyntaxError
from softswitch.plugin.views import InviteView
from softswitch.sip.fields import NameAddr, split_values
from softswitch.sip.uri import Uri

_RANGE: Final = re.compile(r"(\+?)([0-9]{1,20})-(\+?)([0-9]{1,20})")
_PART: Final = re.compile("[;,]")
#: Kinds of privacy that withhold the number (RFC 3323, RFC 3325).
_WITHHELD: Final = frozenset(("id", "user"))


@attrs.frozen
class Which:
    """The numbers that a rule is for: those that meet any of this.

    :ivar match: for the whole number; None for what matches nothing.
    :ivar begins: prefixes.
    :ivar ranges: the plus or "", how many digits, the least and the greatest.
    :ivar numbers: whole numbers.
    """

    match: re.Pattern[str] | None
    begins: tuple[str, ...]
    ranges: tuple[tuple[str, int, int, int], ...]
    numbers: frozenset[str]

    @classmethod
    def of(
        cls, match: str, begins: Iterable[str], ranges: Iterable[str], numbers: Iterable[str]
    ) -> "Which":
        """What the configuration says.

        :raises ValueError: which of them cannot be read, and what would be right.
        """
        made = cls(
            pattern("match", match) if match else None,
            tuple(begins),
            tuple(map(_range, ranges)),
            frozenset(numbers),
        )
        if made == cls(None, (), (), frozenset()) or "" in made.begins:
            raise ValueError("one of match, begins, ranges and numbers is wanted")
        return made

    def has(self, number: str) -> bool:
        """Whether this is one of them."""
        if self.match is not None and self.match.fullmatch(number):
            return True
        if number in self.numbers or number.startswith(self.begins):
            return True
        return any(_within(number, *each) for each in self.ranges)


@attrs.frozen
class Rewriting:
    """What becomes of a number: a replacement, or characters off its front and others there.

    :ivar whole: what ``replace`` refers to, for the whole number.
    :ivar replace: as for ``re.sub``: ``\\1`` is the first group; "" for none.
    :ivar strip: so many characters go,
    :ivar prepend: and these come.
    """

    whole: re.Pattern[str] | None = None
    replace: str = ""
    strip: int = 0
    prepend: str = ""

    @classmethod
    def of(
        cls, whole: re.Pattern[str] | None, replace: str, strip: int, prepend: str, prefix: str = ""
    ) -> "Rewriting":
        """What the configuration says.

        :param prefix: of the keys, for errors.
        :raises ValueError: what cannot be, and what would be right.
        """
        if strip < 0:
            raise ValueError(f"{prefix}strip: 0 or more is wanted")
        if replace and (strip or prepend):
            raise ValueError(f"{prefix}replace goes without {prefix}strip and {prefix}prepend")
        if replace and whole is None:
            needed = "caller" if prefix else "match"
            raise ValueError(f"{prefix}replace refers to {needed}, which is wanted, too")
        if replace and whole is not None:
            _check_groups(whole, replace, f"{prefix}replace")
        return cls(whole, replace, strip, prepend)

    def __bool__(self) -> bool:
        return bool(self.replace or self.strip or self.prepend)

    def applied(self, number: str) -> str:
        """What it becomes; a number that ``whole`` does not match stays as it is."""
        if self.replace and self.whole is not None:
            found = self.whole.fullmatch(number)
            return number if found is None else found.expand(self.replace)
        return self.prepend + number[self.strip :]


@attrs.frozen
class Calling:
    """Who calls, as far as rules ask.

    :ivar number: as he shows it, or a name; "" where he shows none.
    :ivar anonymous: whether he withholds it from whom he calls.
    """

    number: str
    anonymous: bool

    @classmethod
    def of(cls, invite: InviteView) -> "Calling":
        """From; where that is anonymous, whom the trunk asserts that calls (RFC 3325)."""
        shown = invite.from_.uri
        wishes = {
            each.strip().lower() for line in invite.headers("Privacy") for each in _PART.split(line)
        }
        nameless = _is_nobody(shown)
        if nameless and invite.identity is not None and invite.identity.kind == "trunk":
            shown = _asserted(invite) or shown
        number = "" if _is_nobody(shown) else shown.unquoted_user.partition(";")[0]
        return cls(number, nameless or not wishes.isdisjoint(_WITHHELD))


def pattern(key: str, text: str) -> re.Pattern[str]:
    """A regular expression.

    :raises ValueError: it is none.
    """
    try:
        return re.compile(text)
    except re.error as error:
        raise ValueError(f"{key} is no regular expression: {error}") from None


def _is_nobody(uri: Uri) -> bool:
    user = uri.unquoted_user.lower()
    return uri.host.lower() == ANONYMOUS or user in ("", "anonymous", "unavailable", "restricted")


def _asserted(invite: InviteView) -> Uri | None:
    line = invite.header("P-Asserted-Identity")
    if line is None:
        return None
    try:
        return NameAddr.parse(next(iter(split_values(line)), "")).uri
    except SipSyntaxError:
        return None


def _range(text: str) -> tuple[str, int, int, int]:
    found = _RANGE.fullmatch(text.replace(" ", ""))
    if found is None:
        raise ValueError(f'ranges: "{text}" is none; "+442071838700-+442071838799" would be')
    plus, low, other, high = found.groups()
    if plus != other or len(low) != len(high) or low > high:
        raise ValueError(f'ranges: "{text}" wants two numbers of the same length, the lower first')
    return plus, len(low), int(low), int(high)


def _within(number: str, plus: str, length: int, low: int, high: int) -> bool:
    digits = number[len(plus) :]
    return (
        number.startswith(plus)
        and len(digits) == length
        and digits.isascii()
        and digits.isdigit()
        and low <= int(digits) <= high
    )


def _check_groups(whole: re.Pattern[str], replace: str, key: str) -> None:
    """
    :raises ValueError: it names a group that there is not.
    """
    try:
        re.compile(f"(?:{whole.pattern})|").fullmatch("").expand(replace)  # type: ignore[union-attr]
    except (re.error, IndexError) as error:
        raise ValueError(f"{key}: {error}") from None
