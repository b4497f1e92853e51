"""Telephone numbers: how somebody's are read, and how they are written to him."""

import pytest

from softswitch.plain import from_plain, to_plain
from softswitch.plugin.numbering import PLAIN, Numbering
from softswitch.plugin.profile import Profile

LONDON = Numbering("GB", "20")
NEW_YORK = Numbering("US", "212")
BERLIN = Numbering("DE", "30")


@pytest.mark.parametrize("text", ["02071838750", "2071838750", "71838750", "+442071838750"])
@pytest.mark.parametrize("spelt", [str, lambda text: f"{text[:4]} {text[4:7]}-{text[7:]}"])
def test_one_number_read_in_many_ways(text, spelt):
    """With and without the 0, local in an area, with separators (RFC 3966 5.1.1)."""
    assert LONDON.read(spelt(text)) == "+442071838750"


@pytest.mark.parametrize(
    ("where", "text", "number"),
    [
        (LONDON, "00493012345678", "+493012345678"),
        (NEW_YORK, "0114930123456", "+4930123456"),
        (NEW_YORK, "12015550123", "+12015550123"),
        (NEW_YORK, "7365000", "+12127365000"),
        (BERLIN, "12345678", "+493012345678"),
        (Numbering("IT"), "0612345678", "+390612345678"),
        (LONDON, "+999123456789", ""),
        (LONDON, "+4412", ""),
    ],
)
def test_each_country_dials_in_its_own_way(where, text, number):
    """What one dials for abroad, for elsewhere in the country, and in the same town; the 0 of an
    Italian number belongs to it."""
    assert where.read(text) == number


@pytest.mark.parametrize(
    ("where", "text"),
    [
        *((LONDON, each) for each in ("100", "999", "112", "116123", "alice", "", "*31#", "0")),
        *((NEW_YORK, each) for each in ("911", "5000", "support")),
        *((BERLIN, each) for each in ("110", "112", "116117")),
        (Numbering("GB"), "71838750"),
        (LONDON, "٠٢٠٧١٨٣٨٧٥٠"),
        (LONDON, "0" * 30),
    ],
)
def test_what_is_no_telephone_number(where, text):
    """Names, extensions, short codes and emergency numbers are not touched."""
    assert where.read(text) == ""
    assert Numbering(where.country, where.area, "plus").dialled(text, where) == text


def test_without_a_country_a_plus_is_needed():
    """Nothing else can be told from an extension; and nobody is asked for more."""
    assert PLAIN.read("+442071838750") == "+442071838750"
    assert PLAIN.read("02071838750") == ""
    assert PLAIN.read("+44x") == ""
    assert Numbering(called="digits").dialled("+442071838750", PLAIN) == "442071838750"


@pytest.mark.parametrize(
    ("form", "home", "abroad"),
    [
        ("unchanged", "02071838750", "0014155550123"),
        ("plus", "+442071838750", "+14155550123"),
        ("digits", "442071838750", "14155550123"),
        ("international", "00442071838750", "0014155550123"),
        ("national", "02071838750", "0014155550123"),
    ],
)
def test_how_a_trunk_wants_a_number(form, home, abroad):
    """Each form, for a number of its country and for another."""
    trunk = Numbering("GB", called=form)
    assert trunk.dialled("02071838750", LONDON) == home
    assert trunk.dialled("0014155550123", LONDON) == abroad


@pytest.mark.parametrize(
    ("country", "dialled"), [("US", "011"), ("AU", "0011"), ("RU", "810"), ("JP", "010")]
)
def test_what_is_dialled_for_abroad(country, dialled):
    """Differs from country to country; of several ways the usual one."""
    trunk = Numbering(country, called="international")
    assert trunk.dialled("+442071838750", PLAIN) == f"{dialled}442071838750"


def test_a_number_is_read_by_one_and_written_for_another():
    """A German caller's national number, on a British phone and on a German one."""
    assert Numbering("GB", caller="national").shown("030123456", BERLIN) == "004930123456"
    assert Numbering("DE", caller="national").shown("+4930123456", PLAIN) == "030123456"


def test_a_number_that_stands_for_the_callers_own():
    """For those who have a name only, or for all."""
    unknown = Numbering("GB", caller="digits", caller_id="02071838700")
    assert unknown.shown("alice", LONDON) == "442071838700"
    assert unknown.shown("100", LONDON) == "442071838700"
    assert unknown.shown("02071838750", LONDON) == "442071838750"
    every = Numbering(caller_id="+442071838700", caller_id_for="all")
    assert every.shown("02071838750", LONDON) == "+442071838700"


@pytest.mark.parametrize(
    ("cells", "mend"),
    [
        ({"country": "UK"}, 'country: two capital letters as "GB"'),
        ({"country": "gb"}, "country"),
        ({"country": "GB", "area": "+20"}, "area: the digits"),
        ({"area": "20"}, "area: goes with a country"),
        ({"called": "national"}, 'called: "national" takes a country'),
        ({"caller": "international"}, "caller: .* takes a country"),
        ({"country": "GB", "caller_id": "100"}, "caller_id: a telephone number"),
        ({"caller_id_for": "all"}, "caller_id_for: goes with a caller_id"),
    ],
)
def test_what_cannot_be_right(cells, mend):
    """Told with the key."""
    with pytest.raises(ValueError, match=mend):
        Numbering(**cells)


def test_it_can_be_written_down():
    """A leg knows its profile, and a call is plain data."""
    profile = Profile(numbering=Numbering("GB", caller="national"), believes=("from",))
    assert from_plain(Profile, to_plain(profile)) == profile
