"""Whatever phones do, lawful or not, on a bad network: the switch bears it and forgets it.

Hypothesis chooses the acts of ``softswitch.testing.chaos``, and shortens what it finds.
"""

from hypothesis import HealthCheck, note, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from softswitch.testing.chaos import Chaos
from softswitch.testing.worlds import (
    ABILITIES,
    ASKS,
    CELLS,
    FINALS,
    FORMS,
    METHODS,
    MOODS,
    NUMBERS,
    PROVISIONALS,
    REFER_TO,
    WIRES,
    World,
)

#: Acts of one run.
LENGTH = 100
#: Runs in ``scripts/test``: 5 * 10^4 acts in all.
RUNS = 500


def up_to(choices):
    return st.integers(0, len(choices) - 1)


WHO = st.integers(0, 7)
FEW = st.integers(0, 3)
FORM = up_to(FORMS)
ASK = st.just(0) | up_to(ASKS)
FINAL = st.just(0) | up_to(FINALS)
FORK = st.just(0) | st.integers(0, 2)
TICKS = st.sampled_from((0.01, 0.2, 0.6, 2.5, 5.0, 12.0, 33.0, 70.0))
PROFILE = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(values) for name, values in CELLS.items()}
)
WORLDS = st.builds(
    World,
    seed=st.integers(0, 2**16),
    wires=st.sampled_from(list(WIRES)),
    engine=st.sampled_from(("seeing", "none", "slow", "counting", "slow", "dead")),
    transport=st.sampled_from(("UDP", "UDP", "TCP")),
    cells=st.tuples(PROFILE, PROFILE, PROFILE, PROFILE),
    abilities=st.tuples(*[up_to(ABILITIES)] * 6),
    forwarding=st.booleans(),
    thinks=st.booleans(),
    ending=st.sampled_from(("polite", "abrupt", "polite", "abrupt", "shut")),
)


class ChaosMachine(RuleBasedStateMachine):
    """One run."""

    chaos = None
    whole = False

    @initialize(world=WORLDS)
    def begin(self, world):
        self.chaos = Chaos(world)
        self.whole = True

    def play(self, act, *args):
        self.whole = False
        self.chaos.step(act, *args)
        self.whole = True

    def teardown(self):
        if self.chaos is None:
            return
        try:
            if self.whole:
                self.whole = False
                self.chaos.end()
                self.whole = True
        finally:
            if not self.whole:
                note(self.chaos.stage.ladder())

    @rule(who=WHO, number=up_to(NUMBERS), form=FORM, ask=ASK)
    def call(self, who, number, form, ask):
        self.play(self.chaos.call, who, number, form, ask)

    @rule(who=WHO, number=FEW, first=st.just(0) | st.integers(0, 4))
    def talk(self, who, number, first):
        self.play(self.chaos.talk, who, number, first)

    @rule(who=WHO, form=FORM, status=FINAL, update=st.booleans())
    def renegotiate(self, who, form, status, update):
        self.play(self.chaos.renegotiate, who, form, status, update)

    @rule(form=FORM, update=st.booleans())
    def clash(self, form, update):
        self.play(self.chaos.clash, form, update)

    @rule(who=WHO, which=WHO, early=st.booleans())
    def replace(self, who, which, early):
        self.play(self.chaos.replace, who, which, early)

    @rule(who=WHO, status=up_to(PROVISIONALS), form=FORM, reliable=st.booleans(), fork=FORK)
    def provide(self, who, status, form, reliable, fork):
        self.play(self.chaos.provide, who, status, form, reliable, fork)

    @rule(who=WHO, status=FINAL, form=FORM, fork=FORK)
    def answer(self, who, status, form, fork):
        self.play(self.chaos.answer, who, status, form, fork)

    @rule(who=WHO, form=FORM, wrong=st.booleans())
    def prack(self, who, form, wrong):
        self.play(self.chaos.prack, who, form, wrong)

    @rule(who=WHO, form=FORM)
    def acknowledge(self, who, form):
        self.play(self.chaos.acknowledge, who, form)

    @rule(who=WHO, form=FORM, ask=ASK)
    def reinvite(self, who, form, ask):
        self.play(self.chaos.reinvite, who, form, ask)

    @rule(who=WHO, form=FORM, ask=ASK)
    def update(self, who, form, ask):
        self.play(self.chaos.update, who, form, ask)

    @rule(who=WHO, method=up_to(METHODS), fork=st.booleans())
    def request(self, who, method, fork):
        self.play(self.chaos.request, who, method, fork)

    @rule(who=WHO, early=st.booleans())
    def hang_up(self, who, early):
        self.play(self.chaos.hang_up, who, early)

    @rule(who=WHO)
    def cancel(self, who):
        self.play(self.chaos.cancel, who)

    @rule(who=WHO, whom=up_to(REFER_TO), which=FEW, ask=st.integers(0, 1))
    def refer(self, who, whom, which, ask):
        self.play(self.chaos.refer, who, whom, which, ask)

    @rule(who=WHO, which=st.integers(0, 20))
    def again(self, who, which):
        self.play(self.chaos.again, who, which)

    @rule(who=WHO, jump=st.sampled_from((0, -1, -3, 1, 1000)), method=FEW)
    def disorder(self, who, jump, method):
        self.play(self.chaos.disorder, who, jump, method)

    @rule(who=WHO, method=st.integers(0, 13), known=st.booleans())
    def stray(self, who, method, known):
        self.play(self.chaos.stray, who, method, known)

    @rule(who=WHO, which=FEW, status=up_to(FINALS + PROVISIONALS), foreign=st.booleans())
    def respond(self, who, which, status, foreign):
        self.play(self.chaos.respond, who, which, status, foreign)

    @rule(who=WHO, method=st.integers(0, 10), status=up_to(MOODS))
    def mood(self, who, method, status):
        self.play(self.chaos.mood, who, method, status)

    @rule(who=WHO, which=FEW)
    def habit(self, who, which):
        self.play(self.chaos.habit, who, which)

    @rule(who=WHO)
    def vanish(self, who):
        self.play(self.chaos.vanish, who)

    @rule(which=WHO)
    def fall_silent(self, which):
        self.play(self.chaos.fall_silent, which)

    @rule(who=WHO, register=st.booleans())
    def move(self, who, register):
        self.play(self.chaos.move, who, register)

    @rule(who=WHO, which=st.integers(0, 9))
    def garbage(self, who, which):
        self.play(self.chaos.garbage, who, which)

    @rule(seconds=TICKS)
    def wait(self, seconds):
        self.play(self.chaos.wait, seconds)


def play(runs, number=None):
    """Play so many runs: others for each seed, and always the same ones without."""
    machine = ChaosMachine if number is None else seed(number)(ChaosMachine)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=runs,
            stateful_step_count=LENGTH,
            deadline=None,
            derandomize=number is None,
            database=None,
            # A run is as large as it is meant to be.
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )


def test_the_switch_bears_everything():
    """No exception, no event that a state does not know, nothing that cannot be written down; and
    when the phones have vanished no call after the largest of ring time, session expiry and probe
    limit plus 3 x 64*T1, no leg, transaction, dialog, timer or port, and one record for each
    INVITE that was admitted."""
    play(RUNS)
