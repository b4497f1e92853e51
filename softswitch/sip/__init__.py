"""SIP message syntax: pure functions of bytes (RFC 3261 sections 7, 19, 20 and 25).

Read ``names``, ``uri``, ``fields``, ``message``, ``parser``, ``compose``, ``digest``.
"""
