"""A task's row, its entry in the queue and its events tell one story, whatever becomes of it."""

import json
import time

import pytest

from alknet.errors import Conflict, NotFound, Unavailable
from alknet.store import migrations, task_rows, tasks
from alknet.store.connection import open_writer

LEASE = 30.0


@pytest.fixture
def connection(tmp_path):
    path = tmp_path / "test.db"
    connection = open_writer(path, "normal", "none")
    migrations.apply(connection, path)
    yield connection
    connection.close()


@pytest.fixture
def now():
    # The queue has the clock of SQLite; what is handed in here keeps to it, or runs ahead.
    return time.time()


def create(connection, now, template="resize", input=b"{}", **fields):
    given = {
        "creator": "alice",
        "key": None,
        "timeout": None,
        "max_attempts": 3,
        "delay": 0,
        "room": 100,
    }
    return tasks.create(connection, template, input, now=now, **given | fields)


def assign(connection, now, worker="w", *templates):
    return tasks.assign(connection, worker, templates or ("resize",), LEASE, now)


def submit(connection, task, now, worker="w", **outcome):
    given = outcome or {"output": b"42"}
    return tasks.submit(connection, task.id, task.attempts, worker, now, **given)


def states(connection, task):
    """Return the states that the events of *task* tell, in order."""
    sql = "select payload from _honker_stream where topic = 'tasks' and key = ? order by offset"
    return [json.loads(text)[1] for (text,) in connection.execute(sql, (task.id,))]


def waiting(connection):
    """Return how many entries the queue has, claimed ones among them."""
    return connection.execute("select count(*) from _honker_live").get


def check(connection):
    """Check that the open tasks are those in the queue."""
    rows = connection.execute("select job from tasks where job is not null order by job").fetchall()
    entries = connection.execute("select id from _honker_live order by id").fetchall()
    assert rows == entries


def test_a_task_that_is_done(connection, now):
    made = create(connection, now, input=b'{"width":7}')
    assert (made.state, made.attempts, made.worker, made.version) == ("queued", 0, None, 1)

    given = assign(connection, now)
    assert (given.id, given.input, given.state) == (made.id, {"width": 7}, "assigned")
    assert (given.attempts, given.worker) == (1, "w")
    assert assign(connection, now) is None
    assert tasks.extend(connection, given.id, 1, "w", LEASE, now).state == "running"

    done = submit(connection, given, now, output=b'{"url":"x"}')
    assert (done.state, done.output, done.error) == ("done", {"url": "x"}, None)
    assert task_rows.get(connection, made.id) == done
    assert states(connection, made) == ["queued", "assigned", "running", "done"]
    assert waiting(connection) == 0


def test_tasks_are_handed_out_in_the_order_they_were_made_to_who_knows_their_template(
    connection, now
):
    first, second = create(connection, now), create(connection, now)
    other = create(connection, now, "print")

    assert assign(connection, now, "w", "nothing") is None
    assert assign(connection, now, "w", "nothing", "resize").id == first.id
    assert assign(connection, now, "v", "resize", "print").id == second.id
    assert assign(connection, now, "v", "resize", "print").id == other.id


def test_a_key_makes_a_task_once_for_each_caller(connection, now):
    made = create(connection, now, key="k", input=b'{"a": 1}')
    assert create(connection, now, key="k", input=b'{"a":1}') == made
    assert create(connection, now, key="k", creator="bob").id != made.id
    done = submit(connection, assign(connection, now), now)
    assert create(connection, now, key="k", input=b'{"a":1}') == done
    for fields in ({"input": b"{}"}, {"template": "print", "input": b'{"a":1}'}):
        with pytest.raises(Conflict, match="asks for something else"):
            create(connection, now, key="k", **fields)


def test_there_is_room_for_so_many_open_tasks_and_no_more(connection, now):
    first = create(connection, now, room=2, key="k")
    create(connection, now, room=2)
    with pytest.raises(Unavailable, match="2 tasks are open, the most that `room`"):
        create(connection, now, room=2)
    assert create(connection, now, room=2, key="k") == first
    submit(connection, assign(connection, now), now)
    create(connection, now, room=2)


def test_an_outcome_is_recorded_once_and_the_first_one_stands(connection, now):
    create(connection, now)
    given = assign(connection, now)
    done = submit(connection, given, now, output=b"1")
    for again in ({"output": b"2"}, {"error": "x"}, {"error": "x", "retryable": True}):
        assert submit(connection, given, now, **again) == done
    assert states(connection, given) == ["queued", "assigned", "done"]


@pytest.mark.parametrize(("attempt", "worker"), [(1, "v"), (2, "w"), (0, "w")])
def test_only_who_was_handed_a_task_may_submit_it(connection, now, attempt, worker):
    create(connection, now)
    given = assign(connection, now)
    with pytest.raises(Conflict, match="drop it"):
        tasks.submit(connection, given.id, attempt, worker, now, output=b"1")
    with pytest.raises(Conflict, match="drop it"):
        tasks.extend(connection, given.id, attempt, worker, LEASE, now)
    with pytest.raises(NotFound, match="there is no task 'x'"):
        tasks.submit(connection, "x", attempt, worker, now, output=b"1")
    assert task_rows.get(connection, given.id) == given


def test_a_failure_that_trying_again_cannot_mend_is_the_end(connection, now):
    create(connection, now)
    failed = submit(connection, assign(connection, now), now, error="no such picture")
    assert (failed.state, failed.error, failed.output) == ("failed", "no such picture", None)
    assert waiting(connection) == 0


def test_a_failure_that_passes_is_tried_again_after_a_pause_and_then_no_more(connection, now):
    create(connection, now, max_attempts=2)
    back = submit(connection, assign(connection, now), now, error="busy", retryable=True)
    assert (back.state, back.error, back.worker) == ("queued", "busy", "w")
    assert not tasks.is_waiting(connection, ["resize"], now)
    assert tasks.next_change(connection, now) == now + 1.0
    assert assign(connection, now) is None
    connection.execute("update _honker_live set run_at = run_at - 1")

    dead = submit(connection, assign(connection, now + 1), now + 1, error="busy", retryable=True)
    assert (dead.state, dead.attempts) == ("dead", 2)
    assert dead.error == "it was tried 2 times, the most it may be: busy"
    assert waiting(connection) == 0


def test_a_task_whose_worker_is_gone_is_another_ones_at_once(connection, now):
    create(connection, now)
    lost = assign(connection, now, "w")
    tasks.release(connection, lost.id, lost.attempts, "its worker is gone", now)
    again = assign(connection, now, "v")
    assert (again.id, again.attempts, again.worker) == (lost.id, 2, "v")
    assert again.error == "its worker is gone"
    # What comes too late goes nowhere.
    tasks.release(connection, lost.id, lost.attempts, "its worker is gone", now)
    with pytest.raises(Conflict, match=r"attempt 1, and it is assigned after 2, now with 'v'"):
        submit(connection, lost, now, "w")
    assert submit(connection, again, now, "v").state == "done"
    tasks.release(connection, lost.id, 2, "its worker is gone", now)
    assert task_rows.get(connection, lost.id).state == "done"


def test_a_worker_that_comes_back_in_time_goes_on_with_what_it_had(connection, now):
    create(connection, now)
    given = assign(connection, now)
    tasks.release(connection, given.id, 1, "its worker is gone", now)
    back = tasks.extend(connection, given.id, 1, "w", LEASE, now)
    assert (back.state, back.attempts) == ("running", 1)
    assert assign(connection, now, "v") is None

    tasks.release(connection, given.id, 1, "its worker is gone", now)
    assert submit(connection, given, now).state == "done"
    assert assign(connection, now, "v") is None
    check(connection)


def test_a_lease_that_runs_out_gives_the_task_back_and_one_that_is_extended_does_not(
    connection, now
):
    create(connection, now)
    given = assign(connection, now)
    assert tasks.next_change(connection, now) == now + LEASE
    tasks.extend(connection, given.id, 1, "w", LEASE, now + 20)
    assert tasks.expire(connection, now + LEASE) == []
    assert tasks.expire(connection, now + 20 + LEASE) == [given.id]
    back = task_rows.get(connection, given.id)
    assert back.error == "w neither submitted it nor extended its lease"
    assert assign(connection, now + 60, "v").attempts == 2


def test_a_task_that_kills_its_workers_is_dead_in_the_end(connection, now):
    made = create(connection, now, max_attempts=2)
    for attempt in (1, 2):
        given = assign(connection, now, f"w{attempt}")
        tasks.release(connection, given.id, attempt, "its worker is gone", now)
    assert task_rows.get(connection, made.id).state == "dead"
    assert states(connection, made) == ["queued", "assigned", "queued", "assigned", "dead"]
    check(connection)


def test_a_claim_that_ran_out_while_no_node_ran_costs_an_attempt_and_no_task(connection, now):
    create(connection, now, max_attempts=2)
    for attempt in (1, 2):
        assert assign(connection, now).attempts == attempt
        connection.execute("update _honker_live set claim_expires_at = 1")
        if attempt == 1:
            tasks.expire(connection, now + 2 * LEASE)
    # Here nobody has looked after the lease either: the queue alone gives the task again.
    assert assign(connection, now) is None
    (task,) = task_rows.page(connection, "dead", None, "", 9).tasks
    assert task.attempts == 2
    assert waiting(connection) == 0


@pytest.mark.parametrize("state", ["queued", "assigned", "running"])
def test_a_deadline_ends_a_task_wherever_it_is(connection, now, state):
    made = create(connection, now, timeout=5.0)
    assert made.deadline == now + 5.0
    if state != "queued":
        given = assign(connection, now)
        if state == "running":
            tasks.extend(connection, given.id, 1, "w", LEASE, now)
    assert tasks.next_change(connection, now) == now + 5.0
    assert tasks.expire(connection, now + 5.0) == [made.id]
    dead = task_rows.get(connection, made.id)
    assert (dead.state, dead.error) == ("dead", "it was not done by its deadline")
    if state != "queued":
        assert submit(connection, given, now + 5.0) == dead
    assert assign(connection, now) is None
    check(connection)


def test_a_task_that_is_held_back_waits(connection, now):
    create(connection, now, delay=60)
    assert not tasks.is_waiting(connection, ["resize"], now + 59)
    assert assign(connection, now) is None
    assert tasks.is_waiting(connection, ["resize"], now + 60)
    connection.execute("update _honker_live set run_at = run_at - 60")
    assert assign(connection, now + 60) is not None


def test_tasks_are_listed_in_order_and_in_pages(connection, now):
    made = [create(connection, now + n, template="ab"[n % 2]) for n in range(5)]
    done = submit(connection, assign(connection, now, "w", "a"), now)
    page = task_rows.page(connection, None, None, "", 3)
    assert [task.id for task in page.tasks] == [task.id for task in made[:3]]
    rest = task_rows.page(connection, None, None, page.next, 3)
    assert [task.id for task in rest.tasks] == [task.id for task in made[3:]]
    assert rest.next is None
    assert task_rows.page(connection, "done", None, "", 9).tasks == (done,)
    assert len(task_rows.page(connection, "queued", "a", "", 9).tasks) == 2


def test_what_is_over_is_forgotten_in_the_end_and_what_is_open_never(connection, now):
    for n in range(6):
        create(connection, now + n, template="kept" if n == 0 else "resize")
    for _ in range(5):
        submit(connection, assign(connection, now), now)
    assert tasks.prune(connection, 2) == 3
    assert tasks.prune(connection, 2) == 0
    left = task_rows.page(connection, None, None, "", 9).tasks
    assert [task.state for task in left] == ["queued", "done", "done"]


def test_what_is_undone_never_was(connection, now):
    with pytest.raises(KeyError), connection:
        create(connection, now)
        raise KeyError
    assert waiting(connection) == 0
    assert task_rows.page(connection, None, None, "", 9).tasks == ()
