"""What a configuration says, in the words of the floors below. Pure."""

from softswitch.b2bua.shared import CallSettings
from softswitch.dialog.stateagent import SubscriptionSettings
from softswitch.ops.config import Config
from softswitch.sip.forks import ForkLimits


def call_settings(config: Config) -> CallSettings:
    """For every call that begins under it."""
    switch = config.switch
    return CallSettings(
        switch.try_seconds,
        switch.ring_seconds,
        realm=config.realm,
        stop_on=frozenset(switch.stop_on),
        forks=fork_limits(config),
        session_id=switch.session_id,
    )


def fork_limits(config: Config) -> ForkLimits:
    """For everything that goes to several places."""
    return ForkLimits(config.limits.forks.at_once, config.limits.forks.in_all)


def subscription_settings(config: Config) -> SubscriptionSettings:
    """For every subscription that begins under it."""
    table = config.subscriptions
    return SubscriptionSettings(table.per_user, table.min_expires, table.max_expires)
