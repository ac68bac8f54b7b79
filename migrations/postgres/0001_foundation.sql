create table tenants (
    id            uuid    primary key,
    slug          text    not null unique,
    name          text    not null,
    state         text    not null,
    state_reason  text,
    erase_at      bigint,
    limits        text    not null default '{}',
    settings      text    not null default '{}',
    created_at    bigint not null
);
create index tenants_by_age on tenants (created_at, id);
create index tenants_to_erase on tenants (erase_at) where erase_at is not null;

create table users (
    id                 uuid    primary key,
    email              text    not null,
    email_key          text    not null unique,
    name               text    not null,
    locale             text,
    password           text,
    email_verified_at  bigint,
    totp_secret        bytea,
    totp_confirmed_at  bigint,
    totp_last_step     bigint not null default 0,
    failed_attempts    bigint not null default 0,
    locked_until       bigint,
    created_at         bigint not null
);

create table recovery_codes (
    user_id     uuid    not null references users (id) on delete cascade,
    hash     bytea    not null,
    used_at  bigint,
    primary key (user_id, hash)
);

create table memberships (
    id         uuid    primary key,
    tenant     uuid    not null references tenants (id),
    user_id       uuid    not null references users (id),
    roles      text    not null,
    joined_at  bigint not null,
    unique (tenant, user_id)
);
create index memberships_of_user on memberships (user_id, joined_at);
create index memberships_by_age on memberships (tenant, joined_at, id);

create table roles (
    id           uuid    primary key,
    tenant       uuid    not null references tenants (id),
    name         text    not null,
    description  text,
    permissions  text    not null,
    created_at   bigint not null,
    unique (tenant, name)
);

create table organizations (
    id          uuid    primary key,
    tenant      uuid    not null references tenants (id),
    name        text    not null,
    slug        text    not null,
    created_at  bigint not null,
    unique (tenant, slug)
);
create index organizations_by_age on organizations (tenant, created_at, id);

create table organization_members (
    tenant        uuid    not null,
    organization  uuid    not null references organizations (id) on delete cascade,
    user_id          uuid    not null references users (id),
    role          text    not null,
    joined_at     bigint not null,
    primary key (tenant, organization, user_id)
);
create index organization_members_of_user on organization_members (tenant, user_id);

create table invitations (
    id            uuid    primary key,
    tenant        uuid    not null references tenants (id),
    email         text    not null,
    email_key     text    not null,
    roles         text    not null,
    organization  uuid,
    token_hash    bytea    not null unique,
    invited_by    uuid,
    created_at    bigint not null,
    expires_at    bigint not null,
    accepted_at   bigint,
    revoked_at    bigint
);
create index invitations_by_age on invitations (tenant, created_at, id);

create table service_accounts (
    id           uuid    primary key,
    tenant       uuid    not null references tenants (id),
    name         text    not null,
    description  text,
    roles        text    not null,
    enabled      boolean not null default true,
    created_at   bigint not null,
    unique (tenant, name)
);

create table api_keys (
    id                   uuid    primary key,
    tenant               uuid    not null references tenants (id),
    user_id                 uuid,
    service_account      uuid,
    name                 text    not null,
    prefix               text    not null,
    hash                 bytea    not null,
    previous_hash        bytea,
    previous_expires_at  bigint,
    scopes               text    not null,
    signing_secret       bytea,
    created_at           bigint not null,
    expires_at           bigint,
    last_used_at         bigint,
    revoked_at           bigint
);
create unique index api_keys_by_hash on api_keys (hash);
create index api_keys_by_previous_hash on api_keys (previous_hash) where previous_hash is not null;
create index api_keys_by_age on api_keys (tenant, created_at, id);

create table key_usage (
    tenant          uuid    not null,
    api_key         uuid    not null,
    route           text    not null,
    hour            bigint not null,
    calls           bigint not null,
    client_errors   bigint not null,
    server_errors   bigint not null,
    latency_sum_us  bigint not null,
    latency_max_us  bigint not null,
    primary key (tenant, api_key, hour, route)
);

create table sessions (
    id             uuid    primary key,
    user_id           uuid    not null references users (id),
    tenant         uuid,
    created_at     bigint not null,
    last_seen_at   bigint not null,
    expires_at     bigint not null,
    revoked_at     bigint,
    revoked_why    text,
    user_agent     text,
    address        text,
    methods        text    not null,
    impersonator   uuid,
    reason         text
);
create index sessions_of_user on sessions (user_id, created_at);
create index sessions_of_impersonators on sessions (created_at, id) where impersonator is not null;

create table refresh_tokens (
    hash        bytea    primary key,
    session     uuid    not null references sessions (id) on delete cascade,
    created_at  bigint not null,
    expires_at  bigint not null,
    used_at     bigint,
    used_key    bytea,
    answer      bytea
);
create index refresh_tokens_of_session on refresh_tokens (session);

create table one_time_tokens (
    hash        bytea    primary key,
    purpose     text    not null,
    user_id        uuid    not null references users (id) on delete cascade,
    email       text,
    created_at  bigint not null,
    expires_at  bigint not null,
    used_at     bigint
);
create index one_time_tokens_of_user on one_time_tokens (user_id, purpose);

create table linked_identities (
    id          uuid    primary key,
    user_id        uuid    not null references users (id) on delete cascade,
    provider    text    not null,
    issuer      text    not null,
    subject     text    not null,
    email       text,
    created_at  bigint not null,
    unique (issuer, subject)
);
create index linked_identities_of_user on linked_identities (user_id);

create table oauth_attempts (
    state_hash    bytea    primary key,
    provider      text    not null,
    nonce         text    not null,
    verifier      bytea    not null,
    redirect_uri  text    not null,
    tenant_name   text,
    tenant_slug   text,
    link_to       uuid,
    created_at    bigint not null,
    expires_at    bigint not null
);

create table signing_keys (
    kid          text    primary key,
    private_key  bytea    not null,
    created_at   bigint not null,
    active_from  bigint not null,
    retired_at   bigint
);

create table data_keys (
    id          uuid    primary key,
    tenant      uuid,
    wrapped     bytea    not null,
    master_key  uuid    not null,
    created_at  bigint not null
);
create index data_keys_of_tenant on data_keys (tenant, created_at);

create table idempotency (
    scope         bytea    primary key,
    tenant        uuid,
    request_hash  bytea    not null,
    lease_until   bigint,
    status        bigint,
    headers       text,
    body          bytea,
    created_at    bigint not null,
    expires_at    bigint not null
);
create index idempotency_by_end on idempotency (expires_at);

create table mails (
    id          uuid    primary key,
    tenant      uuid,
    purpose     text    not null,
    sealed      bytea    not null,
    state       text    not null,
    created_at  bigint not null
);
create index mails_by_age on mails (created_at, id);

create table facts (
    name   text primary key,
    value  text not null
);

-- A row without position and hash is not sealed yet: it is committed, and readers of the log do not see it until the
-- sealer has given it its place.
create table events (
    id            uuid    primary key,
    arrival       bigint  generated always as identity,
    position      bigint  unique,
    tenant        uuid    not null,
    subject       text    not null,
    version       bigint  not null,
    kind          text    not null,
    time          bigint  not null,
    actor         text    not null,
    impersonator  uuid,
    correlation   text,
    origin        text,
    data          text    not null,
    hash          bytea
);
create unique index events_of_subject on events (tenant, subject, version);
create index events_of_tenant on events (tenant, position);
create index events_unsealed on events (arrival) where position is null;


-- The tenant that the transaction was opened for; null outside of one, so that nothing matches.
create function plinth_tenant() returns uuid language sql stable parallel safe
    return nullif(current_setting('plinth.tenant', true), '')::uuid;

do $$
declare
    owned text;
begin
    foreach owned in array array[
        'memberships', 'roles', 'organizations', 'organization_members', 'invitations', 'service_accounts', 'api_keys',
        'key_usage', 'events'
    ] loop
        execute format('alter table %I enable row level security', owned);
        execute format('alter table %I force row level security', owned);
        execute format('create policy of_tenant on %I to plinth_app using (tenant = plinth_tenant()) with check (tenant = plinth_tenant())', owned);
        execute format('create policy of_system on %I to plinth_system using (true) with check (true)', owned);
    end loop;
    -- Rows of the platform itself have no tenant; only the system role sees those.
    foreach owned in array array['idempotency', 'mails', 'data_keys', 'sessions'] loop
        execute format('alter table %I enable row level security', owned);
        execute format('alter table %I force row level security', owned);
        execute format('create policy of_tenant on %I to plinth_app using (tenant = plinth_tenant()) with check (tenant = plinth_tenant())', owned);
        execute format('create policy of_system on %I to plinth_system using (true) with check (true)', owned);
    end loop;
    -- People and what hangs on them belong to no tenant: a tenant sees its members and changes none of this.
    foreach owned in array array[
        'users', 'recovery_codes', 'refresh_tokens', 'one_time_tokens', 'linked_identities', 'oauth_attempts', 'signing_keys',
        'facts', 'tenants'
    ] loop
        execute format('alter table %I enable row level security', owned);
        execute format('alter table %I force row level security', owned);
        execute format('create policy of_system on %I to plinth_system using (true) with check (true)', owned);
    end loop;
end
$$;
create policy members on users for select to plinth_app
    using (exists (select 1 from memberships where memberships.user_id = users.id));
create policy itself on tenants to plinth_app using (id = plinth_tenant()) with check (id = plinth_tenant());
