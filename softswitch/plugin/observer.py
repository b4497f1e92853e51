"""What an observer of calls begins with. Pure."""

from zope.interface import implementer

from softswitch.plugin.interfaces import ICallObserver
from softswitch.plugin.record import CallRecord


@implementer(ICallObserver)
class Observer:
    """Told of nothing yet: a class that is derived from this one writes only the methods that it
    needs. For the facts that it leaves out it is not called at all."""

    def call_started(self, record: CallRecord) -> None:
        """See ``ICallObserver``; likewise those below."""

    def call_ringing(self, record: CallRecord) -> None: ...

    def call_answered(self, record: CallRecord) -> None: ...

    def call_ended(self, record: CallRecord) -> None: ...
