"""Whatever is done to tasks in whatever order, no task is lost, stuck or done twice."""

import tempfile
import time
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from alknet.errors import Conflict
from alknet.store import migrations, task_rows, tasks
from alknet.store.connection import open_writer

LEASE = 30.0
WORKERS = st.sampled_from(["w", "v"])
OVER = ("done", "failed", "dead")


class Tasks(RuleBasedStateMachine):
    """Tasks of two templates, two workers, and what each of them believes to have in hand.

    The clock is the test's own; the queue's is moved along with it.
    """

    def __init__(self):
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        path = Path(self.directory.name) / "test.db"
        self.connection = open_writer(path, "normal", "none")
        migrations.apply(self.connection, path)
        self.now = time.time()
        self.hands = []
        self.made = {}
        self.over = {}

    def teardown(self):
        self.connection.close()
        self.directory.cleanup()

    @rule(template=st.sampled_from("ab"), max_attempts=st.integers(1, 3), late=st.booleans())
    def create(self, template, max_attempts, late):
        made = tasks.create(
            self.connection,
            template,
            b"{}",
            creator="alice",
            key=None,
            timeout=100.0 if late else None,
            max_attempts=max_attempts,
            delay=0,
            now=self.now,
            room=1000,
        )
        self.made[made.id] = max_attempts

    @rule(worker=WORKERS)
    def assign(self, worker):
        given = tasks.assign(self.connection, worker, ("a", "b"), LEASE, self.now)
        if given is not None:
            assert given.state == "assigned"
            assert given.attempts <= self.made[given.id]
            self.hands.append((worker, given.id, given.attempts))

    def _hand(self, data):
        return data.draw(st.sampled_from(self.hands)) if self.hands else None

    @rule(data=st.data())
    def extend(self, data):
        if hand := self._hand(data):
            worker, id, attempt = hand
            try:
                task = tasks.extend(self.connection, id, attempt, worker, LEASE, self.now)
            except Conflict:
                return
            assert (task.state, task.worker, task.attempts) == ("running", worker, attempt)

    @rule(data=st.data(), outcome=st.sampled_from(["output", "error", "retry"]))
    def submit(self, data, outcome):
        if hand := self._hand(data):
            worker, id, attempt = hand
            said = {
                "output": {"output": b"1"},
                "error": {"error": "no"},
                "retry": {"error": "busy", "retryable": True, "retry_after": 0},
            }[outcome]
            try:
                task = tasks.submit(self.connection, id, attempt, worker, self.now, **said)
            except Conflict:
                return
            if id in self.over:
                assert task == self.over[id], "the first outcome stands"

    @rule(data=st.data())
    def lose_the_link(self, data):
        if hand := self._hand(data):
            _, id, attempt = hand
            tasks.release(self.connection, id, attempt, "its worker is gone", self.now)

    @rule(seconds=st.sampled_from([1.0, 31.0, 101.0]), looked_after=st.booleans())
    def pass_time(self, seconds, looked_after):
        """Time passes, and a node looks after the leases, or none runs."""
        self.now += seconds
        self.connection.execute(
            "update _honker_live set claim_expires_at = claim_expires_at - ?1, "
            "run_at = run_at - ?1",
            (int(seconds),),
        )
        if looked_after:
            tasks.expire(self.connection, self.now)

    @invariant()
    def the_queue_has_what_is_open_and_nothing_else(self):
        rows = self.connection.execute(
            "select job, state from tasks where job is not null"
        ).fetchall()
        # What a claim has run out on is claimed again like what was never claimed.
        entries = dict(
            self.connection.execute(
                "select id, state = 'pending' or claim_expires_at < unixepoch() from _honker_live"
            ).fetchall()
        )
        assert {job for job, _ in rows} == set(entries)
        for job, state in rows:
            if state == "queued":
                assert entries[job], "nobody could be handed it"
        assert self.connection.execute("select count(*) from _honker_dead").get == 0

    @invariant()
    def what_is_over_stays_as_it_is(self):
        for id in self.made:
            task = task_rows.get(self.connection, id)
            assert self.over.get(id, task) == task
            if task.state in OVER:
                self.over[id] = task

    @invariant()
    def the_events_tell_the_same_story(self):
        told = {}
        rows = self.connection.execute(
            "select offset, key, payload from _honker_stream where topic = 'tasks' order by offset"
        )
        for sequence, id, text in rows:
            event = task_rows.read_event(sequence, id, text)
            assert event.version > told[id].version if id in told else event.version == 1
            told[id] = event
        for id in self.made:
            task = task_rows.get(self.connection, id)
            assert (told[id].state, told[id].attempt) == (task.state, task.attempts)


TestTasks = Tasks.TestCase
TestTasks.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
