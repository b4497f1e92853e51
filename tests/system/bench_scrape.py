"""What a look at the metrics costs a switch with 20,000 live calls.

The calls are made on the loop network; the time is the processor's, of this thread, the median of
many looks.
"""

import time
from statistics import median

from softswitch.ops.metrics import Metrics
from softswitch.policy.chain import Policy
from softswitch.testing.stage import Stage
from softswitch.wheel import Wheel

#: Calls that live.
CALLS = 20_000

#: Looks of which the median counts.
LOOKS = 21

#: Seconds that one may take.
LONGEST = 0.020

#: Two trunks, no media.
CONFIG = {
    "trunks": {"caller": {"addresses": ["127.88.0.50"]}, "callee": {"addresses": ["127.88.0.51"]}},
    "policy": [
        {"use": "trunks"},
        {"use": "dialplan", "rules": [{"match": ".*", "trunk": "callee"}]},
    ],
    "media": {"engine": "bypass"},
}


def measure() -> list[str]:
    """Print the figure.

    :returns: what was missed.
    """
    stage = Stage(CONFIG)
    stage.clock.after = lambda: None  # what is known of each call is not written down here
    metrics = Metrics(stage.house, Wheel(stage.clock))
    stage.house.observe(Policy("metrics", metrics.meter))
    caller = stage.phone("caller", host="127.88.0.50", register=False)
    callee = stage.phone("callee", host="127.88.0.51", register=False)
    for _ in range(CALLS):
        caller.call("100")
        callee.answer()
        for phone in (caller, callee):
            phone.received.clear()
            phone.unread.clear()
        stage.network.log.clear()
    live = len(stage.house.switch.calls)
    spent = []
    for _ in range(LOOKS):
        begun = time.thread_time()
        text = metrics.text()
        spent.append(time.thread_time() - begun)
    took = median(spent)
    print(
        f"a look at the metrics of {live} live calls: {took * 1e3:.1f} of {LONGEST * 1e3:.0f} ms, "
        f"{len(text) / 1024:.0f} KiB"
    )
    missed = [] if live == CALLS else [f"scrape: {live} calls live, not {CALLS}"]
    if took > LONGEST:
        missed.append(f"scrape: more than {LONGEST * 1e3:.0f} ms")
    for each in missed:
        print(f"MISSED {each}")
    return missed
