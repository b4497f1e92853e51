"""Where certificates of signers may be fetched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from softswitch.policy.certificatehosts import LONGEST, CertificateHosts, Place, place

HOSTS = CertificateHosts([("cert.example.org", 443), ("other.example", 8443), ("192.0.2.7", 443)])


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://cert.example.org/a/b.pem", Place("cert.example.org", 443, "/a/b.pem")),
        ("HTTPS://Cert.Example.ORG:443", Place("cert.example.org", 443, "/")),
        ("https://cert.example.org/a?b=/c%2F", Place("cert.example.org", 443, "/a?b=/c%2F")),
        ("https://other.example:8443/x", Place("other.example", 8443, "/x")),
        ("https://192.0.2.7/x", Place("192.0.2.7", 443, "/x")),
    ],
)
def test_what_may_be_asked(url, found):
    """A host of the list with its port, in whatever case."""
    assert HOSTS.place(url) == found


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://cert.example.org/a",
        "file:///etc/passwd",
        "ftp://cert.example.org/a",
        "https:cert.example.org/a",
        "https:///cert.example.org/a",
        "//cert.example.org/a",
        "https://elsewhere.example/a",
        "https://cert.example.org.elsewhere.example/a",
        "https://elsewhere.example/cert.example.org",
        "https://sub.cert.example.org/a",
        "https://cert.example.org./a",
        "https://cert.example.org:8443/a",
        "https://cert.example.org:0443x/a",
        "https://cert.example.org:/a",
        "https://other.example/x",
        "https://cert.example.org@elsewhere.example/a",
        "https://elsewhere.example@cert.example.org/a",
        "https://cert.example.org:443@elsewhere.example/a",
        "https://cert.example.org\\@elsewhere.example/a",
        "https://elsewhere.example\\.cert.example.org/a",
        "https://elsewhere.example#cert.example.org/a",
        "https://elsewhere.example?cert.example.org/a",
        "https://cert.example.org#/a",
        "https://cert.example.org//a",
        "https://cert.example.org/a#b",
        "https://cert.example.org/a b",
        "https://cert.example.org/a\r\nHost: x",
        "https://cert.example.org/%zz",
        "https://cert.example.org/\u00e9",
        " https://cert.example.org/a",
        "https://cert\u3002example\u3002org/a",
        "https://cert.example\uff0eorg/a",
        "https://\uff43ert.example.org/a",
        "https://cert%2Eexample.org/a",
        "https://127.0.0.1/a",
        "https://[::1]/a",
        "https://[::ffff:192.0.2.7]/a",
        "https://3221225991/a",
        "https://0xC0000207/a",
        "https://192.0.2.7.xip.example/a",
        "https://192.0.519/a",
        "https://cert.example.org/" + "a" * LONGEST,
    ],
)
def test_what_may_not(url):
    """Another scheme, host or port, and all that could be read as one of them."""
    assert HOSTS.place(url) is None


def test_a_redirection_stays_on_its_host():
    """By a path, or by the whole address of the same host and port."""
    here = Place("cert.example.org", 443, "/a")
    assert here.redirected("/b?c") == Place("cert.example.org", 443, "/b?c")
    assert here.redirected("https://cert.example.org/b") == Place("cert.example.org", 443, "/b")
    for location in (
        "",
        "b",
        "//elsewhere.example/b",
        "/\\elsewhere.example",
        "http://cert.example.org/b",
        "https://cert.example.org:8443/b",
        "https://elsewhere.example/b",
    ):
        assert here.redirected(location) is None, location


@given(
    st.text(max_size=60)
    | st.from_regex(
        r"https?://[^/]{0,30}(cert\.example\.org)?[^/]{0,10}(/.{0,20})?", fullmatch=True
    )
)
def test_whatever_is_read_is_composed_anew(url):
    """An address that is taken leads to a host of the list, and is read the same again."""
    found = HOSTS.place(url)
    if found is not None:
        assert (found.host, found.port) in {("cert.example.org", 443), ("192.0.2.7", 443)}
        assert found.url.isascii()
        assert place(found.url) == found
