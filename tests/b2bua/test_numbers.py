"""Numbers and callers on their way through the whole switch, to the byte where it matters."""

from softswitch.testing.stage import Stage

CONFIG = """
[fraud]
closed = []

[numbering]
country = "GB"
area = "20"

[users]
alice = { password = "alice" }
bob = { password = "bob" }

[groups.desk.numbering]
caller = "national"

[trunks.carrier]
addresses = ["127.88.0.20"]
[trunks.carrier.numbering]
called = "digits"
caller = "plus"
caller_id = "+442071838700"
[trunks.carrier.dialog]
trusted = true
diversion = "none"

[trunks.german]
addresses = ["127.88.0.21"]
[trunks.german.numbering]
country = "DE"
area = "30"
called = "national"
caller = "international"

[[policy]]
use = "trunks"

[[policy]]
use = "users"

[[policy]]
use = "registration"

[[policy]]
use = "dialplan"
read_as = "plus"

[[policy.rules]]
match = ".*"
anonymous = true
callers = "trunks"
refuse = 433

[[policy.rules]]
begins = ["+49"]
trunk = "german"

[[policy.rules]]
ranges = ["+442071838000-+442071838099"]
user = "bob"

[[policy.rules]]
begins = ["+"]
caller = "alice"
caller_replace = "+442071838701"
trunk = "carrier"

[[policy.rules]]
begins = ["+"]
trunk = "carrier"

[[policy]]
use = "located"
"""


ANONYMOUS = '"Anonymous" <sip:anonymous@anonymous.invalid>'


def offered(gateway, phone, number, **call):
    """The INVITE that a gateway gets when somebody dials a number; the call is refused then."""
    gateway.answers(480)
    line = phone.call(number, **call)
    assert line.statuses[-1] == 480
    return gateway.lines[-1].invite


def test_a_number_goes_to_each_trunk_as_it_wants_it():
    """However it was dialled: read as its caller writes numbers, by the rules in E.164, and written
    as the trunk has it."""
    with Stage(CONFIG) as stage:
        bob = stage.phone("bob")
        carrier, german = stage.trunk("carrier"), stage.trunk("german")
        for number in ("020 7183 8750", "02071838750", "71838750", "00442071838750"):
            invite = offered(carrier, bob, number.replace(" ", "-"))
            assert invite.uri == "sip:442071838750@127.88.0.20"
        for number in ("004930123456", "%2B4930123456"):
            assert offered(german, bob, number).uri == "sip:030123456@127.88.0.21"


def test_a_caller_is_shown_to_each_trunk_as_it_wants_it():
    """The trunk's number for a caller who has none, the one that a rule gives him, or his own; in
    From, Contact and P-Asserted-Identity alike."""
    with Stage(CONFIG) as stage:
        alice, bob = stage.phone("alice"), stage.phone("bob")
        carrier, german = stage.trunk("carrier"), stage.trunk("german")
        for caller, number in ((alice, "+442071838701"), (bob, "+442071838700")):
            invite = offered(carrier, caller, "02071838750")
            assert invite.from_.uri.user == number
            assert invite.contacts[0].uri.user == number
            assert f"<sip:{number}@" in invite.get("P-Asserted-Identity")
        own = "<sip:030123456@127.88.0.21>"
        assert offered(carrier, german, "+442071838750", caller=own).from_.uri.user == "+4930123456"
        own = "<sip:02071838750@127.88.0.20>"
        assert (
            offered(german, carrier, "+4930123456", caller=own).from_.uri.user == "00442071838750"
        )


def test_a_withheld_number_stays_so_whatever_the_trunk_wants():
    """A trusted carrier is told the number, and that it is withheld; others hear nothing of it."""
    with Stage(CONFIG) as stage:
        bob = stage.phone("bob")
        carrier, german = stage.trunk("carrier"), stage.trunk("german")
        fields = [("Privacy", "id")]
        invite = offered(carrier, bob, "02071838750", fields=fields)
        assert invite.get("Privacy") == "id"
        assert "+442071838700" in invite.get("P-Asserted-Identity")
        invite = offered(german, bob, "004930123456", fields=fields)
        assert "anonymous" in str(invite.from_)
        assert invite.get("P-Asserted-Identity") is None


def test_an_anonymous_caller_may_be_refused():
    """433 Anonymity Disallowed (RFC 5079), to callers from trunks only; who shows a number gets
    through to the number range."""
    with Stage(CONFIG) as stage:
        bob, carrier = stage.phone("bob"), stage.trunk("carrier")
        assert carrier.call("+442071838042", caller=ANONYMOUS).statuses == [433]
        assert carrier.call("+442071838042", fields=[("Privacy", "id")]).statuses == [433]
        bob.answers(486)
        assert carrier.call("02071838042").statuses == [486]
        assert bob.lines[-1].invite.from_.uri.user == "carrier"


def test_a_busy_callee_is_not_called_over_the_next_trunk(tmp_path):
    """Over one trunk he is as busy as over the other; but what a trunk cannot do, the next may."""
    rates = tmp_path / "rates.csv"
    rates.write_text("prefix,price,trunk\n49,1,carrier\n49,2,german\n")
    rated = f"""
    [trunks.carrier]
    addresses = ["127.88.0.20"]

    [trunks.german]
    addresses = ["127.88.0.21"]

    [[policy]]
    use = "users"

    [[policy]]
    use = "registration"

    [[policy]]
    use = "rates"
    file = "{rates}"
    """
    with Stage(rated) as stage:
        bob = stage.phone("bob")
        carrier, german = stage.trunk("carrier"), stage.trunk("german")
        german.answers(480)
        for status, last, tried in ((486, 486, 0), (404, 404, 1), (503, 480, 2)):
            carrier.answers(status)
            assert bob.call("+4930123456").statuses[-1] == last
            assert len(german.lines) == tried
