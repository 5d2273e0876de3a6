-- Tasks, of which those that are open have an entry in honker's queue, `job`, too: the row says how
-- a task stands, the entry whose turn it is. Times are Unix seconds. `lease` is until when `worker`
-- has the task; `due` is when one that is queued may be handed out.
create table tasks (
    id text primary key,
    template text not null,
    input text not null check (json_valid(input)),
    state text not null
        check (state in ('queued', 'assigned', 'running', 'done', 'failed', 'dead')),
    attempts integer not null,
    max_attempts integer not null,
    worker text,
    output text check (json_valid(output)),
    error text,
    deadline real,
    creator text not null,
    key text,
    version integer not null,
    created_at real not null,
    updated_at real not null,
    job integer,
    due real,
    lease real,
    check ((job is null) = (state in ('done', 'failed', 'dead'))),
    check ((due is null) = (state <> 'queued')),
    check ((lease is null) = (state not in ('assigned', 'running')))
) strict;

create unique index tasks_by_key on tasks (creator, key) where key is not null;
create index tasks_by_state on tasks (state, id);
create index tasks_by_template on tasks (template, id);
create index tasks_waiting on tasks (template, due) where due is not null;
create index tasks_due on tasks (due) where due is not null;
create index tasks_leased on tasks (lease) where lease is not null;
create index tasks_open on tasks (job) where job is not null;
create index tasks_deadlines on tasks (deadline) where deadline is not null and job is not null;
