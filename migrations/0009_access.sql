-- More of what the API of 0.56 has and that of 0.31 does not.
--
-- The service accounts that may use a user's secret: services that act for one of them may name it.
CREATE TABLE secret_proxies (
    secret_id TEXT NOT NULL REFERENCES held_secrets (id) ON DELETE CASCADE,
    service_account_id TEXT NOT NULL REFERENCES service_accounts (id) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    PRIMARY KEY (secret_id, service_account_id)
);
CREATE INDEX secret_proxies_account ON secret_proxies (service_account_id);

-- Groups of people. Their names are compared in lower case.
CREATE TABLE subject_groups (
    id TEXT PRIMARY KEY NOT NULL,
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    metadata TEXT NOT NULL,
    annotations TEXT NOT NULL,
    seq BIGINT NOT NULL,
    rev BIGINT NOT NULL
);
CREATE UNIQUE INDEX subject_groups_name ON subject_groups (project_id, lower(name));
CREATE INDEX subject_groups_order ON subject_groups (project_id, seq);

CREATE TABLE group_members (
    group_id TEXT NOT NULL REFERENCES subject_groups (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (group_id, user_id)
);
CREATE INDEX group_members_order ON group_members (group_id, seq);
CREATE INDEX group_members_user ON group_members (user_id);

-- Storage of rooms that services may mount.
CREATE TABLE volumes (
    id TEXT PRIMARY KEY NOT NULL,
    room_id TEXT NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    metadata TEXT NOT NULL,
    annotations TEXT NOT NULL,
    storage_class TEXT NOT NULL,
    max_size_mb BIGINT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    seq BIGINT NOT NULL,
    rev BIGINT NOT NULL,
    UNIQUE (room_id, name)
);

-- Domains that a project has for its routes. Nobody else has one of them.
CREATE TABLE custom_domains (
    domain TEXT PRIMARY KEY NOT NULL,
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    created_at TEXT NOT NULL,
    seq BIGINT NOT NULL,
    rev BIGINT NOT NULL
);
CREATE INDEX custom_domains_order ON custom_domains (project_id, seq);
