create table tenants (
    id            blob    primary key,
    slug          text    not null unique,
    name          text    not null,
    state         text    not null,
    state_reason  text,
    erase_at      integer,
    limits        text    not null default '{}',
    settings      text    not null default '{}',
    created_at    integer not null
) without rowid;
create index tenants_by_age on tenants (created_at, id);
create index tenants_to_erase on tenants (erase_at) where erase_at is not null;

create table users (
    id                 blob    primary key,
    email              text    not null,
    email_key          text    not null unique,
    name               text    not null,
    locale             text,
    password           text,
    email_verified_at  integer,
    totp_secret        blob,
    totp_confirmed_at  integer,
    totp_last_step     integer not null default 0,
    failed_attempts    integer not null default 0,
    locked_until       integer,
    created_at         integer not null
) without rowid;

create table recovery_codes (
    user_id     blob    not null references users (id) on delete cascade,
    hash     blob    not null,
    used_at  integer,
    primary key (user_id, hash)
) without rowid;

create table memberships (
    id         blob    primary key,
    tenant     blob    not null references tenants (id),
    user_id       blob    not null references users (id),
    roles      text    not null,
    joined_at  integer not null,
    unique (tenant, user_id)
) without rowid;
create index memberships_of_user on memberships (user_id, joined_at);
create index memberships_by_age on memberships (tenant, joined_at, id);

create table roles (
    id           blob    primary key,
    tenant       blob    not null references tenants (id),
    name         text    not null,
    description  text,
    permissions  text    not null,
    created_at   integer not null,
    unique (tenant, name)
) without rowid;

create table organizations (
    id          blob    primary key,
    tenant      blob    not null references tenants (id),
    name        text    not null,
    slug        text    not null,
    created_at  integer not null,
    unique (tenant, slug)
) without rowid;
create index organizations_by_age on organizations (tenant, created_at, id);

create table organization_members (
    tenant        blob    not null,
    organization  blob    not null references organizations (id) on delete cascade,
    user_id          blob    not null references users (id),
    role          text    not null,
    joined_at     integer not null,
    primary key (tenant, organization, user_id)
) without rowid;
create index organization_members_of_user on organization_members (tenant, user_id);

create table invitations (
    id            blob    primary key,
    tenant        blob    not null references tenants (id),
    email         text    not null,
    email_key     text    not null,
    roles         text    not null,
    organization  blob,
    token_hash    blob    not null unique,
    invited_by    blob,
    created_at    integer not null,
    expires_at    integer not null,
    accepted_at   integer,
    revoked_at    integer
) without rowid;
create index invitations_by_age on invitations (tenant, created_at, id);

create table service_accounts (
    id           blob    primary key,
    tenant       blob    not null references tenants (id),
    name         text    not null,
    description  text,
    roles        text    not null,
    enabled      integer not null default 1,
    created_at   integer not null,
    unique (tenant, name)
) without rowid;

create table api_keys (
    id                   blob    primary key,
    tenant               blob    not null references tenants (id),
    user_id                 blob,
    service_account      blob,
    name                 text    not null,
    prefix               text    not null,
    hash                 blob    not null,
    previous_hash        blob,
    previous_expires_at  integer,
    scopes               text    not null,
    signing_secret       blob,
    created_at           integer not null,
    expires_at           integer,
    last_used_at         integer,
    revoked_at           integer
) without rowid;
create unique index api_keys_by_hash on api_keys (hash);
create index api_keys_by_previous_hash on api_keys (previous_hash) where previous_hash is not null;
create index api_keys_by_age on api_keys (tenant, created_at, id);

create table key_usage (
    tenant          blob    not null,
    api_key         blob    not null,
    route           text    not null,
    hour            integer not null,
    calls           integer not null,
    client_errors   integer not null,
    server_errors   integer not null,
    latency_sum_us  integer not null,
    latency_max_us  integer not null,
    primary key (tenant, api_key, hour, route)
) without rowid;

create table sessions (
    id             blob    primary key,
    user_id           blob    not null references users (id),
    tenant         blob,
    created_at     integer not null,
    last_seen_at   integer not null,
    expires_at     integer not null,
    revoked_at     integer,
    revoked_why    text,
    user_agent     text,
    address        text,
    methods        text    not null,
    impersonator   blob,
    reason         text
) without rowid;
create index sessions_of_user on sessions (user_id, created_at);
create index sessions_of_impersonators on sessions (created_at, id) where impersonator is not null;

create table refresh_tokens (
    hash        blob    primary key,
    session     blob    not null references sessions (id) on delete cascade,
    created_at  integer not null,
    expires_at  integer not null,
    used_at     integer,
    used_key    blob,
    answer      blob
) without rowid;
create index refresh_tokens_of_session on refresh_tokens (session);

create table one_time_tokens (
    hash        blob    primary key,
    purpose     text    not null,
    user_id        blob    not null references users (id) on delete cascade,
    email       text,
    created_at  integer not null,
    expires_at  integer not null,
    used_at     integer
) without rowid;
create index one_time_tokens_of_user on one_time_tokens (user_id, purpose);

create table linked_identities (
    id          blob    primary key,
    user_id        blob    not null references users (id) on delete cascade,
    provider    text    not null,
    issuer      text    not null,
    subject     text    not null,
    email       text,
    created_at  integer not null,
    unique (issuer, subject)
) without rowid;
create index linked_identities_of_user on linked_identities (user_id);

create table oauth_attempts (
    state_hash    blob    primary key,
    provider      text    not null,
    nonce         text    not null,
    verifier      blob    not null,
    redirect_uri  text    not null,
    tenant_name   text,
    tenant_slug   text,
    link_to       blob,
    created_at    integer not null,
    expires_at    integer not null
) without rowid;

create table signing_keys (
    kid          text    primary key,
    private_key  blob    not null,
    created_at   integer not null,
    active_from  integer not null,
    retired_at   integer
) without rowid;

create table data_keys (
    id          blob    primary key,
    tenant      blob,
    wrapped     blob    not null,
    master_key  blob    not null,
    created_at  integer not null
) without rowid;
create index data_keys_of_tenant on data_keys (tenant, created_at);

create table idempotency (
    scope         blob    primary key,
    tenant        blob,
    request_hash  blob    not null,
    lease_until   integer,
    status        integer,
    headers       text,
    body          blob,
    created_at    integer not null,
    expires_at    integer not null
) without rowid;
create index idempotency_by_end on idempotency (expires_at);

create table mails (
    id          blob    primary key,
    tenant      blob,
    purpose     text    not null,
    sealed      blob    not null,
    state       text    not null,
    created_at  integer not null
) without rowid;
create index mails_by_age on mails (created_at, id);

create table facts (
    name   text primary key,
    value  text not null
) without rowid;

-- Position is the order of the log. It is never given twice, also after old events were archived.
create table events (
    position      integer primary key autoincrement,
    id            blob    not null,
    tenant        blob    not null,
    subject       text    not null,
    version       integer not null,
    kind          text    not null,
    time          integer not null,
    actor         text    not null,
    impersonator  blob,
    correlation   text,
    origin        text,
    data          text    not null,
    hash          blob    not null
);
create unique index events_of_subject on events (tenant, subject, version);
create index events_of_tenant on events (tenant, position);
