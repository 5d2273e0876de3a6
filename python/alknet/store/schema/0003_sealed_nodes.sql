-- Nodes whose attributes are sealed: `attributes` is then a Sealing as JSON, and `key_version` the
-- version of the key it is sealed under. That of a graph is what its nodes are sealed under from
-- now on, so that what a rotation has left to do can be read from the nodes themselves.
alter table nodes add column key_version integer;
alter table graphs add column key_version integer not null default 2;

create index nodes_sealed on nodes (graph, key) where key_version is not null;
