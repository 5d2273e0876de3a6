-- Who there is, by what they show who they are, and what they may do. Lists are JSON arrays of
-- strings; times are Unix seconds.

-- Whoever rights can be given to. Accounts and organizations are principals under the same id.
create table principals (
    id text primary key,
    kind text not null check (kind in ('account', 'organization', 'service', 'role')),
    scopes text not null check (json_valid(scopes)),
    denied text not null check (json_valid(denied)),
    enabled integer not null check (enabled in (0, 1)),
    tenant text not null,
    description text not null,
    version integer not null,
    created_at real not null,
    updated_at real not null
) strict, without rowid;

create table accounts (
    id text primary key references principals (id),
    email text unique,
    display_name text not null,
    access_level text not null check (access_level in ('admin', 'user', 'service')),
    status text not null check (status in ('active', 'suspended', 'deactivated')),
    version integer not null,
    created_at real not null,
    updated_at real not null
) strict, without rowid;

create table organizations (
    id text primary key references principals (id),
    slug text not null unique,
    name text not null,
    owner text not null references accounts (id),
    version integer not null,
    created_at real not null,
    updated_at real not null
) strict, without rowid;

create index organizations_by_owner on organizations (owner);

-- A member of an organization belongs to it: this is that edge of the graph of rights, too.
create table members (
    organization text not null references organizations (id),
    account text not null references accounts (id),
    level text not null check (level in ('owner', 'admin', 'member')),
    created_at real not null,
    primary key (organization, account)
) strict, without rowid;

create index members_by_account on members (account);

-- `hash` is the SHA-256 of the whole key, which is kept nowhere; `prefix` is its first characters.
create table api_keys (
    prefix text primary key,
    hash blob not null unique,
    owner text not null references principals (id),
    name text not null,
    scopes text not null check (json_valid(scopes)),
    created_at real not null,
    expires_at real,
    revoked_at real,
    rotated_to text references api_keys (prefix),
    last_used_at real
) strict, without rowid;

create index api_keys_by_owner on api_keys (owner, prefix);

-- An SSH key that somebody logs in with, or that of an authority whose certificates are believed.
-- `public_key` is an OpenSSH line without its comment.
create table peer_credentials (
    fingerprint text primary key,
    kind text not null check (kind in ('ssh-key', 'cert-authority')),
    owner text not null references principals (id),
    public_key text not null,
    name text not null,
    created_at real not null,
    expires_at real,
    revoked_at real,
    last_used_at real
) strict, without rowid;

create index peer_credentials_by_owner on peer_credentials (owner, fingerprint);

-- The other edges of the graph of rights. `member` has what `grouping` has.
create table belongs_to (
    member text not null references principals (id),
    grouping text not null references principals (id),
    created_at real not null,
    primary key (member, grouping)
) strict, without rowid;

create index belongs_to_by_grouping on belongs_to (grouping);

create table delegations (
    delegate text not null references principals (id),
    delegator text not null references principals (id),
    scopes text not null check (json_valid(scopes)),
    narrowable integer not null check (narrowable in (0, 1)),
    created_at real not null,
    primary key (delegate, delegator)
) strict, without rowid;

create index delegations_by_delegator on delegations (delegator);

-- `resource` reads type:id, and needs no row of its own.
create table grants (
    principal text not null references principals (id),
    resource text not null,
    action text not null check (action in ('read', 'write', 'execute')),
    deny integer not null check (deny in (0, 1)),
    created_at real not null,
    primary key (principal, resource, action)
) strict, without rowid;

create index grants_by_resource on grants (resource);
