"""Redirection: of our callers, and by our callees."""

import pytest

from softswitch.plugin.decisions import Follow, PassOn, Redirect, Reject, Target
from softswitch.plugin.views import BindingView, CallView
from softswitch.policy.redirects import FollowRedirects, Redirects


def test_callers_of_some_users_are_sent_elsewhere(house, view):
    """302 with the configured contacts (RFC 3261 8.3, 21.3.3); others go on."""
    policy = Redirects({"bob": ("sip:bob@example.com", "tel:+44123")})
    policy.start(house)
    assert policy.route(view("sip:bob@example.org")) == Redirect(
        ["sip:bob@example.com", "tel:+44123"], 302
    )
    assert policy.route(view("sip:alice@example.org")) is None
    assert policy.route(view("sip:bob@example.com")) is None


@pytest.fixture
def follow(house):
    """Makes the policy with options."""

    def make(**options):
        policy = FollowRedirects(**options)
        policy.start(house)
        return policy

    return make


@pytest.fixture
def call(view):
    """Makes a call whose target at 10.1.0.1, over a trunk, redirected."""

    def make(status=302, depth=0, tried=("sip:1@10.1.0.1",)):
        target = Target("sip:1@10.1.0.1", trunk="carrier")
        return CallView("7", view(), target, status, depth, tried)

    return make


def test_followed_to_a_domain_that_is_allowed(follow, call):
    """The contact becomes a Request-URI: without headers and "method" (RFC 3261 8.1.3.4)."""
    contact = "sip:2@Elsewhere.example:5070;method=INVITE;user=phone?Subject=x"
    assert follow(domains=("elsewhere.EXAMPLE",)).redirected(call(), [contact]) == Follow(
        ["sip:2@Elsewhere.example:5070;user=phone"]
    )


def test_followed_within_the_same_trunk(follow, call):
    """A contact on the host that redirected keeps the trunk's settings and credentials."""
    assert follow(domains=("10.1.0.1",)).redirected(call(), ["sip:2@10.1.0.1"]) == Follow(
        [Target("sip:2@10.1.0.1", trunk="carrier")]
    )


def test_a_contact_of_ours_means_the_user(house, follow, call):
    """Its phones are rung, rather than our own listener called."""
    house.bindings["bob"] = [BindingView("bob@example.org", "sip:bob@10.0.0.9", None)]
    answer = follow().redirected(call(), ["sip:bob@example.org"])
    assert [target.uri for target in answer.targets] == ["sip:bob@10.0.0.9"]
    assert follow().redirected(call(), ["sip:alice@example.org"]) == PassOn()


def test_a_place_is_tried_once(follow, call):
    """A URI is never added to the target set twice (RFC 3261 8.1.3.4)."""
    policy = follow(domains=("x.example",))
    tried = call(tried=("sip:1@10.1.0.1", "sip:2@X.example"))
    assert policy.redirected(tried, ["sip:2@x.example", "sip:3@x.example"]) == Follow(
        ["sip:3@x.example"]
    )
    assert policy.redirected(tried, ["sip:2@x.example"]) == PassOn()


def test_limits(follow, call):
    """Depth, count, domains and schemes."""
    policy = follow(domains=("x.example",), depth=2, count=1)
    there = "sip:2@x.example"
    assert isinstance(policy.redirected(call(depth=1), [there]), Follow)
    assert policy.redirected(call(depth=2), [there]) == PassOn()
    assert policy.redirected(call(), ["sip:2@y.example", there]) == PassOn()
    for contact in ("tel:+900", "mailto:a@x.example", "rubbish", "sip:2@y.example"):
        assert policy.redirected(call(), [contact]) == PassOn()


@pytest.mark.parametrize("status", [305, 380])
def test_other_redirections_are_not_followed(follow, call, status):
    """305 names a proxy and 380 another service: neither is a place to call instead."""
    policy = follow(domains=("x.example",))
    assert policy.redirected(call(status), ["sip:2@x.example"]) == PassOn()


def test_refused_instead(follow, call):
    """The target counts as failed, and the caller sees no contact."""
    assert follow(otherwise="refuse").redirected(call(), ["sip:2@y.example"]) == Reject(480)
