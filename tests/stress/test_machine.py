"""Whatever happens, in whatever order, each call ends once and as it must, and nothing is left.

A model of a few lines knows of every call whether it waits, runs or is over, and how it ended;
Hypothesis looks for a history in which the runtime does not agree.
"""

import structlog
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from alknet.call.backoff import LONGEST_PAUSE
from alknet.errors import DeadlineExceeded, Disconnected, Internal, NotFound, Unavailable

from .rounds import drop
from .small_world import LEFT, LINKS, NEAR, SERVICES, Call, world
from .stepper import Stepper

LOST_WITH = {"store": ("store", "web"), "web": ("web",), "clock": ("clock",)}
# How a call ends whose handler is told so.
WORDS = {"answer": int, "refuse": NotFound, "crash": Internal, "fail": Internal}
# A service that fails is away for a while, in which there is little to see.
OFTEN_WELL = [*("answer",) * 4, "refuse", "crash", "crash", "fail"]
DRAIN = 5.0


class Calls(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        structlog.configure(processors=[drop])
        self.now = 0.0
        self.calls = []
        self.down_since = {}
        self.stepper = Stepper(world)
        self.here = self.stepper.here

    # The model.

    def open_calls(self, *, services=SERVICES, but_inline=False):
        return [
            call
            for call in self.calls
            if call.ends is None
            and call.service in services
            and not (but_inline and call.is_inline)
        ]

    def running(self):
        """Return the numbers of the calls whose handlers run now."""
        found, taken = set(), set()
        for call in self.open_calls():
            if call.shape != "Take":
                found.add(call.number)
            elif call.service not in taken:
                taken.add(call.service)
                found.add(call.number)
        return found

    def fail(self, service):
        """Note that a service has ended, and what requires it too."""
        for call in self.open_calls(services=LOST_WITH[service], but_inline=True):
            call.ends = Unavailable
        for lost in LOST_WITH[service]:
            self.down_since[lost] = self.now

    def is_up(self, service):
        return self.here.work[service].is_serving

    # What happens.

    @rule(
        service=st.sampled_from(sorted(SERVICES)),
        shape=st.sampled_from(["Take", "Take", "Fetch", "Watch"]),
        road=st.sampled_from([NEAR, *LINKS]),
        timeout=st.sampled_from([1.05, 4.05, 500.05]),
    )
    def ask(self, service, shape, road, timeout):
        if shape == "Watch":
            timeout = 100_000.0
        call = Call(len(self.calls), service, shape, road, self.now + timeout)
        if not self.is_up(service):
            call.ends = Unavailable
        if road != NEAR and self.here.clients[road].session.is_closed:
            call.ends = Disconnected
        self.calls.append(call)
        request = getattr(SERVICES[service], shape)(call.number)
        self.stepper.step(self.here.ask, call, request)

    @rule(
        service=st.sampled_from(sorted(SERVICES)),
        road=st.sampled_from([NEAR, *LINKS]),
        word=st.sampled_from(OFTEN_WELL),
    )
    def peek(self, service, road, word):
        call = Call(len(self.calls), service, "Peek", road, self.now + 10.0)
        is_linked = road == NEAR or not self.here.clients[road].session.is_closed
        if not is_linked:
            call.ends = Disconnected
        elif not self.is_up(service):
            call.ends = Unavailable
        else:
            call.ends = WORDS[word]
            if word == "fail":
                self.fail(service)
        self.calls.append(call)
        request = SERVICES[service].Peek(call.number, word)
        self.stepper.step(self.here.ask, call, request)

    @precondition(lambda self: self.running())
    @rule(data=st.data(), word=st.sampled_from(OFTEN_WELL))
    def end(self, data, word):
        call = self.calls[data.draw(st.sampled_from(sorted(self.running())))]
        call.ends = WORDS[word]
        if word == "fail" and self.is_up(call.service):
            self.fail(call.service)
        self.stepper.step(self.here.book.tell, call.number, word)

    @precondition(lambda self: any(call.shape == "Watch" for call in self.open_calls()))
    @rule(data=st.data(), items=st.integers(1, 5))
    def send(self, data, items):
        watched = [call for call in self.open_calls() if call.shape == "Watch"]
        call = data.draw(st.sampled_from(watched))
        call.sent += items
        for _ in range(items):
            self.stepper.step(self.here.book.tell, call.number, "item")

    @precondition(lambda self: self.open_calls())
    @rule(data=st.data())
    def leave(self, data):
        call = data.draw(st.sampled_from(self.open_calls()))
        call.ends = LEFT
        self.stepper.step(call.scope.cancel)

    @rule(format=st.sampled_from(sorted(LINKS)))
    def cut(self, format):
        for call in self.open_calls():
            if call.road == format:
                call.ends = Disconnected
        self.stepper.step(self.here.cut, format)

    @rule(seconds=st.sampled_from([0.1, 0.5, 2.5, 2 * LONGEST_PAUSE]))
    def wait(self, seconds):
        self.now += seconds
        for call in self.open_calls():
            if call.due < self.now:
                call.ends = DeadlineExceeded
        self.stepper.advance(seconds)
        for format, (near, _) in self.here.sessions.items():
            if near.is_closed:
                self.stepper.step(self.here.link, format)
        for service, since in [*self.down_since.items()]:
            if self.now > since + LONGEST_PAUSE:
                assert self.is_up(service), f"{service} did not come back"
                del self.down_since[service]

    # What must hold.

    @invariant()
    def every_call_is_where_the_model_says(self):
        for call in self.calls:
            found = call.outcomes
            if call.ends is None:
                assert not found, f"{call} should go on, and ended with {found}"
                continue
            assert len(found) == 1, f"{call} has {len(found)} outcomes"
            [outcome] = found
            if call.ends is int:
                assert outcome == (0 if call.shape == "Watch" else call.number)
            else:
                assert outcome == LEFT or type(outcome) is call.ends, f"{call}: {outcome!r}"
                assert (outcome == LEFT) == (call.ends == LEFT), f"{call}: {outcome!r}"
            assert call.items == call.sent

    @invariant()
    def exactly_those_handlers_run_whose_calls_are_open(self):
        assert self.here.book.at_work.keys() == self.running()

    @invariant()
    def nobody_keeps_what_is_over(self):
        for service, work in self.here.work.items():
            open_ = self.open_calls(services=(service,))
            at_work = self.running() & {call.number for call in open_}
            waits = [each for each in (*work.taken, *work.mailbox._letters) if not each.is_over]
            assert work.busy == len(work.taken) + len(at_work)
            assert len(waits) + len(at_work) == len(open_)
        for format, (near, far) in self.here.sessions.items():
            open_ = [call for call in self.open_calls() if call.road == format]
            assert len(near.pending) == len(far.inbound) == len(open_)

    def teardown(self):
        try:
            self.stop()
        finally:
            structlog.reset_defaults()
            self.stepper.stop()

    def stop(self):
        """Drain: nothing more is taken, what is not done in time is cancelled, nothing is left."""
        step = self.stepper.step
        step(self.here._nursery.start_soon, self.here.supervisor.stop, DRAIN)
        for road in self.here.clients:
            self.peek("clock", road, "answer")
        self.every_call_is_where_the_model_says()
        for call in self.open_calls():
            if call.due < self.now + DRAIN:
                call.ends = DeadlineExceeded
            elif not call.is_inline:
                call.ends = Unavailable
        self.stepper.advance(DRAIN)
        self.now += DRAIN
        for call in self.open_calls():
            call.ends = LEFT
            step(call.scope.cancel)
        self.every_call_is_where_the_model_says()
        assert not self.here.book.at_work
        for entry in self.here.dispatcher.registry:
            assert entry.measure.in_flight == 0, entry.spec.name


TestCalls = Calls.TestCase
TestCalls.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
