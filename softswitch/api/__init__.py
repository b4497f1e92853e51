"""The HTTP API: what an operator, a page or a program may see and do in a running switch.

``operation`` says what an operation is, ``server`` carries it over HTTP, ``gate`` says who may,
``document`` describes all of it (OpenAPI 3.1). What the operations do stands in ``calls``,
``registrations``, ``trunks``, ``bans`` and ``running``; what they show, in ``shapes``.
"""
