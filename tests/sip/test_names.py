"""Header field names and reason phrases."""

import pytest

from softswitch.sip.names import COMPACT, KNOWN, METHODS, REASONS, canonical


@pytest.mark.parametrize("spelling", ["Call-ID", "call-id", "CALL-ID", "cAlL-iD", "i", "I"])
def test_a_name_has_one_spelling_here(spelling: str):
    """Names are case-insensitive and may be compact (RFC 3261 7.3.1, 7.3.3)."""
    assert canonical(spelling) == "Call-ID"


def test_every_compact_form_of_rfc_3261_is_known():
    """RFC 3261 section 20 gives ten; they are what phones send."""
    expected = {
        "i": "Call-ID",
        "m": "Contact",
        "e": "Content-Encoding",
        "l": "Content-Length",
        "c": "Content-Type",
        "f": "From",
        "s": "Subject",
        "k": "Supported",
        "t": "To",
        "v": "Via",
    }
    assert expected.items() <= COMPACT.items()
    assert set(COMPACT.values()) <= KNOWN


def test_a_name_unknown_here_comes_back_as_it_was():
    """Extensions pass: nothing is known of how their names are written."""
    assert canonical("X-Acme-ID") == "X-Acme-ID"


def test_the_statuses_and_methods_that_the_switch_answers_with_are_there():
    """RFC 3261 21: each has the phrase of the RFC."""
    assert {"INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "OPTIONS"} <= METHODS
    assert REASONS[100] == "Trying"
    assert REASONS[481] == "Call/Transaction Does Not Exist"
    assert REASONS[505] == "Version Not Supported"
    assert REASONS[513] == "Message Too Large"
