"""Which pages may open a WebSocket, and for what (RFC 6454, RFC 6455 4.2.2, RFC 7118 4)."""

import pytest

from softswitch.transport.handshake import WebSocketSettings, canonical_origin, refusal

PAGES = WebSocketSettings("/sip", ("https://phone.example.org:443", "http://[::1]:8080"))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://phone.example.org", "https://phone.example.org:443"),
        ("HTTPS://Phone.Example.ORG", "https://phone.example.org:443"),
        ("http://10.0.0.1", "http://10.0.0.1:80"),
        ("http://[2001:DB8::1]:8080", "http://[2001:db8::1]:8080"),
        ("app://desktop", "app://desktop"),
        ("null", "null"),
    ],
)
def test_origins_have_one_spelling(written, meant):
    """Scheme, host and port, whether it is said or not (RFC 6454 4)."""
    assert canonical_origin(written) == meant


@pytest.mark.parametrize(
    "wrong",
    ["", "phone.example.org", "https://", "https://a/path", "https://a?q", "https://a:x", "//a"],
)
def test_what_is_no_origin(wrong):
    """Is told, and lets nobody in."""
    with pytest.raises(ValueError, match=r"origin|Port"):
        canonical_origin(wrong)
    settings = WebSocketSettings(origins=(wrong,))
    assert refusal(settings, "/", ["sip"], wrong or "?") == (403, "Origin not allowed")


@pytest.mark.parametrize(
    ("path", "protocols", "origin", "status"),
    [
        ("/sip", ["sip"], "https://phone.example.org", None),
        ("/sip", ["chat", "sip"], "http://[::1]:8080", None),
        ("/sip", ["sip"], "", None),
        ("/", ["sip"], "", 404),
        ("/sip/", ["sip"], "", 404),
        ("/sip", [], "", 400),
        ("/sip", ["SIP"], "", 400),
        ("/sip", ["sip"], "null", 403),
        ("/sip", ["sip"], "https://phone.example.org.evil.org", 403),
        ("/sip", ["sip"], "https://phone.example.org@evil.org", 403),
        ("/sip", ["sip"], "nonsense", 403),
    ],
)
def test_who_is_let_in(path, protocols, origin, status):
    """The path, the sub-protocol and the page are all wanted; only pages have an origin."""
    wrong = refusal(PAGES, path, protocols, origin)
    assert (wrong and wrong[0]) == status


def test_every_page_is_let_in_where_none_is_named():
    """The default."""
    assert refusal(WebSocketSettings(), "/", ["sip"], "https://evil.org") is None
