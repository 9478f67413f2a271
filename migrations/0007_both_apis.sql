-- What the API of 0.56 has and that of 0.31 does not.
--
-- A room that is not enabled cannot be entered.
ALTER TABLE rooms ADD COLUMN enabled BOOLEAN NOT NULL DEFAULT TRUE;

-- The name of a route's spec; null if it is the domain.
ALTER TABLE routes ADD COLUMN name TEXT;
-- Where the paths of a route lead, as JSON; null for one plain path `/` to the column `port`.
ALTER TABLE routes ADD COLUMN paths TEXT;

-- The document of a service as 0.56 wrote it; null if 0.31 did, whose own is in `document`. That one
-- holds the part of it that 0.31 can say, and `is_beyond` tells that this is not all.
ALTER TABLE services ADD COLUMN whole TEXT;
ALTER TABLE services ADD COLUMN is_beyond BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE services ADD COLUMN enabled BOOLEAN NOT NULL DEFAULT TRUE;

-- The name of a task's spec, and what it runs instead of sending to a queue, as JSON: 0.31 has
-- neither. Such a task has an empty queue.
ALTER TABLE scheduled_tasks ADD COLUMN name TEXT;
ALTER TABLE scheduled_tasks ADD COLUMN container TEXT;
ALTER TABLE scheduled_tasks ADD COLUMN storage_write_path TEXT;

-- Accounts for which programs act. Their names and keys are compared in lower case.
CREATE TABLE service_accounts (
    id TEXT PRIMARY KEY NOT NULL,
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    email TEXT NOT NULL,
    display_name TEXT,
    description TEXT NOT NULL,
    metadata TEXT NOT NULL,
    annotations TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    seq BIGINT NOT NULL,
    rev BIGINT NOT NULL
);
CREATE UNIQUE INDEX service_accounts_name ON service_accounts (project_id, lower(name));
CREATE UNIQUE INDEX service_accounts_key ON service_accounts (project_id, key);
CREATE INDEX service_accounts_order ON service_accounts (project_id, seq);

-- A key with a service account acts as that one, and ends with it.
ALTER TABLE api_keys ADD COLUMN service_account_id TEXT
    REFERENCES service_accounts (id) ON DELETE CASCADE;
ALTER TABLE api_keys ADD COLUMN created_at TEXT;
CREATE INDEX api_keys_account ON api_keys (service_account_id);

-- What was granted: roles of a subject on a resource.
CREATE TABLE role_grants (
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    resource_type TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    subject_type TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    role TEXT NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (project_id, resource_type, resource_id, subject_type, subject_id, role)
);
CREATE INDEX role_grants_subject ON role_grants (project_id, subject_type, subject_id);

-- Secrets of users and service accounts, one value a version. Values are kept encrypted.
CREATE TABLE held_secrets (
    id TEXT PRIMARY KEY NOT NULL,
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    user_id TEXT REFERENCES users (id),
    service_account_id TEXT REFERENCES service_accounts (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    http_only BOOLEAN NOT NULL,
    metadata TEXT NOT NULL,
    annotations TEXT NOT NULL,
    current_version_id TEXT,
    created_by TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    seq BIGINT NOT NULL,
    rev BIGINT NOT NULL,
    CHECK ((user_id IS NULL) <> (service_account_id IS NULL))
);
CREATE INDEX held_secrets_account ON held_secrets (service_account_id, seq);
CREATE INDEX held_secrets_user ON held_secrets (user_id, seq);

CREATE TABLE secret_versions (
    id TEXT PRIMARY KEY NOT NULL,
    secret_id TEXT NOT NULL REFERENCES held_secrets (id) ON DELETE CASCADE,
    version BIGINT NOT NULL,
    value TEXT NOT NULL,
    value_sha256 TEXT NOT NULL,
    created_at TEXT NOT NULL,
    UNIQUE (secret_id, version)
);

CREATE TABLE pull_secrets (
    service_account_id TEXT NOT NULL REFERENCES service_accounts (id) ON DELETE CASCADE,
    secret_id TEXT NOT NULL REFERENCES held_secrets (id) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    PRIMARY KEY (service_account_id, secret_id)
);

-- The secrets that services name. They stay as long as a service does so.
CREATE TABLE service_held_secrets (
    service_id TEXT NOT NULL REFERENCES services (id) ON DELETE CASCADE,
    secret_id TEXT NOT NULL REFERENCES held_secrets (id),
    PRIMARY KEY (service_id, secret_id)
);
CREATE INDEX service_held_secrets_secret ON service_held_secrets (secret_id);

-- Settings of a project, a document each, encrypted. The id is that of the project, `/` and a name.
CREATE TABLE settings_documents (
    id TEXT PRIMARY KEY NOT NULL,
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    document TEXT NOT NULL,
    rev BIGINT NOT NULL
);
