"""The line by which a plug-in makes a policy known.

The one module of this floor that imports Twisted, and of Twisted only the marker interface that
``twisted.plugin`` looks for: without it a ``twisted/plugins/`` file would be passed over.
"""

import attrs
from twisted.plugin import IPlugin
from zope.interface import implementer

from softswitch.plugin.interfaces import IPolicyMaker


@implementer(IPlugin, IPolicyMaker)
@attrs.frozen
class PolicyMaker:
    """A policy's name and where its class is; strings only, so that nothing is imported before
    the configuration asks for it.

    In a file in any ``twisted/plugins/`` folder on the path::

        night = PolicyMaker("night", "acme.night:NightService", "Answers after hours.")

    :ivar name: what ``use`` in a ``[[policy]]`` table says.
    :ivar factory: where the class is, as ``package.module:Class``.
    :ivar description: one sentence for the operator.
    :ivar api: version of the interfaces that it was written for, as ``plugin.version`` has it; ""
        for whatever there is.
    """

    name: str
    factory: str
    description: str
    api: str = ""
