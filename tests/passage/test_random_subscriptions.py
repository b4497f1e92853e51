"""Random requests outside of calls on a bad network: whatever is lost, doubled or late, in the end
nothing is left, and nobody has met an event that he should know."""

from random import Random

import pytest

from softswitch.machine import unexpected
from softswitch.testing.stage import Stage

SEEDS = range(4)
STEPS = 120

BAD = {"delay": 0.02, "jitter": 0.3, "loss": 0.1, "duplicate": 0.05, "reorder": 0.1}
EVENT = ("Event", "presence")


class Director:
    """Has phones subscribe, notify, refuse, fall silent, call and register at random."""

    def __init__(self, stage, phones, seed):
        self.stage = stage
        self.phones = phones
        self.chance = Random(seed)

    def step(self):
        """Something happens to somebody."""
        chance = self.chance
        phone = chance.choice(self.phones)
        acts = [self.subscribe, self.watch, self.message, self.notify, self.notify]
        acts += [self.refresh, self.refresh, self.mood, self.call, self.hang_up, self.register]
        chance.choice(acts)(phone)
        self.stage.run(chance.choice((0, 0, 0.01, 0.5, 3, 20)))

    def subscribe(self, phone):
        self.ask(phone.dial(self.other(phone)), EVENT, self.chance.choice((0, 60, 300)))

    def watch(self, phone):
        name, event = self.chance.choice(
            ((self.other(phone), "dialog"), (phone.name, "dialog"), (phone.name, "reg"))
        )
        self.ask(phone.dial(name), ("Event", event), self.chance.choice((0, 60, 300)))

    def ask(self, line, event, expires):
        line.event = event
        line.request("SUBSCRIBE", [event, ("Expires", str(expires))])

    def refresh(self, phone):
        lines = [line for line in phone.lines if hasattr(line, "event")]
        if lines:
            line = self.chance.choice(lines)
            self.ask(line, line.event, self.chance.choice((0, 60, 300)))

    def notify(self, phone):
        lines = [line for line in phone.lines if "SUBSCRIBE" in line.methods]
        if lines:
            state = self.chance.choice(
                ("active", "active;expires=60", "pending;expires=9", "terminated;reason=noresource")
            )
            fields = [EVENT, ("Subscription-State", state)]
            self.chance.choice(lines).request("NOTIFY", fields)

    def message(self, phone):
        body = [("Content-Type", "text/plain")]
        phone.dial(self.other(phone)).request("MESSAGE", body, b"hello")

    def mood(self, phone):
        """It answers otherwise from now on, or not at all."""
        phone.silent = self.chance.random() < 0.3
        for line in phone.lines:
            line.answers["NOTIFY"] = self.chance.choice((200, 200, 200, 481, 500))
            line.answers["SUBSCRIBE"] = self.chance.choice((200, 200, 200, 481, 503))
        phone.answers["SUBSCRIBE"] = self.chance.choice((200, 200, 202, 403))

    def call(self, phone):
        phone.call(self.other(phone))
        self.stage.clock.callLater(self.chance.uniform(1, 40), self.end, phone.line)

    def end(self, line):
        for phone in self.phones:
            for each in phone.lines:
                if each.open:
                    each.respond(self.chance.choice((200, 486)), sdp=b"")
        if line.stands:
            line.request("BYE")
        else:
            line.cancel()

    def hang_up(self, phone):
        stands = [line for line in phone.lines if line.stands and "INVITE" in line.methods]
        if stands:
            self.chance.choice(stands).request("BYE")

    def register(self, phone):
        phone.register(self.chance.choice((0, 60, 600)))

    def other(self, phone):
        return self.chance.choice([each.name for each in self.phones if each is not phone])


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_left(seed, transport):
    """No exception, no leak, no subscription longer than it may be (RFC 6665 4.1.2, 4.2)."""
    before = dict(unexpected)
    with Stage(transport=transport, seed=seed, **(BAD if transport == "UDP" else {})) as stage:
        phones = [stage.phone(name, register=False) for name in ("alice", "bob", "carol")]
        for phone in phones:
            phone.can()
            phone.register()
        stage.run(40)
        director = Director(stage, phones, seed)
        for _ in range(STEPS):
            director.step()
        for phone in phones:
            phone.silent = False
            for line in phone.lines:
                if line.open:
                    line.respond(486)
                elif line.stands and "SUBSCRIBE" not in line.methods:
                    line.request("BYE")
        stage.run(4000)
        assert not stage.house.passage.busy
    mine = {
        key: count
        for key, count in unexpected.items()
        if key[0] in ("Notifier", "Subscriber") and count != before.get(key)
    }
    assert mine == {}
