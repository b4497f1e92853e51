"""A SIP back-to-back user agent on Twisted, extended by plug-ins.

Imports go down only. From the ground up, which is also the order in which to read:

=========  =====================================================================
floor      what it knows
=========  =====================================================================
0          ``errors``, ``machine``, ``wheel``, ``flow``, ``scope``, ``plain``, ``journal``
1          ``sip`` and ``sdp``: the syntax of messages; pure functions of bytes
2          ``plugin``: all that the author of a plug-in imports
3          ``transport``: sockets, flows, framing, which listener faces whom
4          ``transaction``: RFC 3261 section 17, with every timer
5          ``dialog`` and ``media``: one leg's signalling, one leg's audio
6          ``b2bua``, ``proxy``, ``registrar``, ``trunk``: calls, what is forwarded,
           bindings, gateways
7          ``policy``: the built-in plug-ins and the chain that asks them
8          ``store``: what outlives a process
9          ``records``: call records, kept, looked up and carried on
10         ``flight``: what has happened in each call, and how it is shown
11         ``api``: what may be seen and done over HTTP, and by whom
12         ``ops``: configuration, the service, the command line
13         ``testing``: the same engine on a loop network under a virtual clock
14         ``explain``: the same engine with one INVITE, and what it says of it;
           ``terminal``: commands over the API
15         ``__main__``: every command of ``softswitch``
=========  =====================================================================

``docs/architecture.md`` walks an INVITE through the house.
"""

__version__ = "0.1.0"
