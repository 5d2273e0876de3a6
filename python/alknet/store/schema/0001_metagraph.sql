-- The metagraph: what kinds of graph there are, and the graphs. Times are Unix seconds; `version`
-- begins at 1 and grows by 1 with each change of a row.

-- `definition` is a GraphType as JSON, whole; `digest` is its SHA-256, by which what has been made
-- of it (compiled schemas) is known again.
create table graph_types (
    name text primary key,
    definition text not null check (json_valid(definition)),
    digest blob not null,
    version integer not null,
    created_at real not null,
    updated_at real not null
) strict;

create table graphs (
    id integer primary key autoincrement,
    name text not null unique,
    type text not null references graph_types (name),
    description text not null,
    metadata text not null check (json_valid(metadata)),
    status text not null check (status in ('draft', 'active', 'archived', 'importing')),
    owner text,
    version integer not null,
    created_at real not null,
    updated_at real not null
) strict;

create index graphs_by_type on graphs (type);
create index graphs_by_owner on graphs (owner, name);

-- Kept in the order of their keys, which is the order in which lists give them.
create table nodes (
    graph integer not null references graphs (id),
    key text not null,
    type text not null,
    attributes text not null,
    version integer not null,
    created_at real not null,
    updated_at real not null,
    primary key (graph, key)
) strict, without rowid;

create index nodes_by_type on nodes (graph, type, key);

-- An undirected edge keeps its ends in `source` and `target` too, the smaller key first.
create table edges (
    graph integer not null references graphs (id),
    key text not null,
    type text not null,
    source text not null,
    target text not null,
    undirected integer not null check (undirected in (0, 1)),
    attributes text not null,
    version integer not null,
    created_at real not null,
    updated_at real not null,
    primary key (graph, key),
    foreign key (graph, source) references nodes (graph, key),
    foreign key (graph, target) references nodes (graph, key)
) strict, without rowid;

create index edges_out on edges (graph, source, type, target, undirected);
create index edges_in on edges (graph, target, type, source, undirected);
create index edges_by_type on edges (graph, type, key);
