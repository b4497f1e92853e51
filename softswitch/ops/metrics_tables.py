"""The tables of the configuration that say what an operator is told: metrics. Pure."""

import attrs


@attrs.frozen
class MetricsTable:
    """``[metrics]``: figures in the form of Prometheus, under ``/metrics`` of the API.

    :ivar enabled: whether calls are measured for them.
    """

    enabled: bool = True
