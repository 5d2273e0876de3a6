-- Who did what to the types and graphs. `hash` is the SHA-256 of the hash before and of the row, so
-- that a row cannot be changed, taken out or put in without all that follow telling.
create table audit_log (
    sequence integer primary key,
    at real not null,
    actor text,
    action text not null,
    subject text not null,
    details text not null check (json_valid(details)),
    hash blob not null
) strict;

-- No guard against whoever holds the file, who can drop it; one against a mistake of ours.
create trigger audit_log_is_not_changed before update on audit_log begin
    select raise(abort, 'the audit log is only added to');
end;

create trigger audit_log_is_not_shortened before delete on audit_log begin
    select raise(abort, 'the audit log is only added to');
end;
