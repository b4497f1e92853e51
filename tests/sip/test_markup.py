"""Values in XML, replaced where they stand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softswitch.errors import SipSyntaxError
from softswitch.sip.markup import DEEPEST, LARGEST, changed


def shout(name, values):
    """Everything in capitals."""
    return {key: value.upper() for key, value in values.items()}


def test_what_is_not_replaced_stays_to_the_byte():
    """Declaration, comments, prefixes, quotes, white space and order (issue 3)."""
    document = (
        b'<?xml version="1.0" encoding="UTF-8"?>\r\n'
        b"<!-- keep <me a='b'/> -->\n"
        b"<d:doc xmlns:d='urn:x' a = \"x&quot;&lt;\" b='it\"s' >\n"
        b"  <d:e c='1'/><f>one &amp; two</f ><g>mixed<h/>text</g><i></i>\n"
        b"</d:doc>  "
    )
    assert changed(document, lambda name, values: {}) == document
    assert changed(document, lambda name, values: dict(values)) == document
    assert changed(document, shout) == document.replace(b"'urn:x'", b"'URN:X'").replace(
        b'"x&quot;&lt;"', b'"X&quot;&lt;"'
    ).replace(b'it"s', b"IT&quot;S").replace(b"one &amp; two", b"ONE &amp; TWO")


def test_what_is_asked():
    """Names without namespace, values as they are meant; text where there is nothing but text."""
    asked = []

    def ask(name, values):
        asked.append((name, values))
        return {"a": '<"&', "new": "x", "": "y"} if name == "e" else {}

    document = b"<p:doc xmlns:p='urn:x'><p:e a='1' p:b='&gt;'/><e>t</e><p:e/></p:doc>"
    told = changed(document, ask)
    assert asked == [
        ("e", {"a": "1", "p:b": ">"}),
        ("e", {"": "t"}),
        ("e", {}),
        ("doc", {"xmlns:p": "urn:x"}),
    ]
    assert told == document.replace(b"'1'", b"'&lt;&quot;&amp;'").replace(b">t<", b">y<")


@pytest.mark.parametrize(
    ("document", "status"),
    [
        (b"", 400),
        (b"<a>", 400),
        (b"<a b=c/>", 400),
        (b"<a/><b/>", 400),
        (b"<a b='1' b='2'/>", 400),
        (b"<a>&undefined;</a>", 400),
        (b"<a>\xff</a>", 400),
        (b"<!DOCTYPE a><a/>", 400),
        (b'<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;">]><a>&c;</a>', 400),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', 400),
        (b'<?xml version="1.0" encoding="ebcdic-cp-us"?><a/>', 415),
        ("<a/>".encode("utf-16"), 415),
        (b"<a>" * (DEEPEST + 1) + b"</a>" * (DEEPEST + 1), 400),
        (b"<a>" + b" " * LARGEST + b"</a>", 413),
    ],
)
def test_what_is_refused(document, status):
    """Nothing that expands, reaches out, or is no XML at all (RFC 4235 and RFC 3863 need none)."""
    with pytest.raises(SipSyntaxError) as caught:
        changed(document, shout)
    assert caught.value.status == status


def test_the_limits_can_be_reached():
    """Just so deep is read."""
    document = b"<a>" * DEEPEST + b"x" + b"</a>" * DEEPEST
    assert changed(document, shout) == document.replace(b"x", b"X")


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C"]))


@given(TEXT, TEXT)
def test_any_text_can_stand_there(attribute, text):
    """Written so that it is read again as it was meant."""
    document = b'<a b="x">y</a>'
    told = changed(document, lambda name, values: {"b": attribute, "": text})
    found = {}
    changed(told, lambda name, values: found.update(values) or {})
    assert found == {"b": attribute, "": text}
