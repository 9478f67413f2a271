-- The embedded platform's objects.
--
-- Ids are UUID text. `rev` and `seq` are drawn from one sequence for the whole database,
-- so that an object that is deleted and made again under the same name never repeats an
-- entity tag, and so that lists have one order: that of creation.
-- JSON is kept as text, in the form in which it is answered.

CREATE TABLE revisions (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    value BIGINT NOT NULL
);
INSERT INTO revisions (id, value) VALUES (1, 0);

CREATE TABLE users (
    id TEXT PRIMARY KEY NOT NULL,
    email TEXT NOT NULL,
    first_name TEXT,
    last_name TEXT,
    rev BIGINT NOT NULL
);
CREATE INDEX users_email ON users (email);

CREATE TABLE projects (
    id TEXT PRIMARY KEY NOT NULL,
    owner_user_id TEXT NOT NULL REFERENCES users (id),
    name TEXT NOT NULL,
    settings TEXT NOT NULL,
    enabled BOOLEAN NOT NULL DEFAULT TRUE,
    seq BIGINT NOT NULL,
    rev BIGINT NOT NULL,
    UNIQUE (owner_user_id, name)
);

CREATE TABLE members (
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id),
    is_admin BOOLEAN NOT NULL,
    is_developer BOOLEAN NOT NULL,
    can_create_rooms BOOLEAN NOT NULL,
    seq BIGINT NOT NULL,
    rev BIGINT NOT NULL,
    PRIMARY KEY (project_id, user_id)
);
CREATE INDEX members_user ON members (user_id);

-- A key with a user acts as that user; one without acts for its project alone. Keys of the
-- purpose 'signing' sign what the platform mints and are no credentials. The secret is
-- kept as it is because tokens signed with it must be verified with the same text.
CREATE TABLE api_keys (
    id TEXT PRIMARY KEY NOT NULL,
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    purpose TEXT NOT NULL CHECK (purpose IN ('owner', 'project', 'signing')),
    user_id TEXT REFERENCES users (id),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    secret TEXT NOT NULL,
    created_by TEXT,
    seq BIGINT NOT NULL,
    rev BIGINT NOT NULL
);
CREATE INDEX api_keys_project ON api_keys (project_id, seq);

CREATE TABLE rooms (
    id TEXT PRIMARY KEY NOT NULL,
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    metadata TEXT NOT NULL,
    annotations TEXT NOT NULL,
    seq BIGINT NOT NULL,
    rev BIGINT NOT NULL,
    UNIQUE (project_id, name)
);
CREATE INDEX rooms_order ON rooms (project_id, seq);

CREATE TABLE room_grants (
    room_id TEXT NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users (id),
    permissions TEXT NOT NULL,
    rev BIGINT NOT NULL,
    PRIMARY KEY (room_id, user_id)
);
CREATE INDEX room_grants_user ON room_grants (user_id);

CREATE TABLE secrets (
    id TEXT PRIMARY KEY NOT NULL,
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    type TEXT NOT NULL CHECK (type IN ('keys', 'docker')),
    data TEXT NOT NULL,
    seq BIGINT NOT NULL,
    rev BIGINT NOT NULL,
    UNIQUE (project_id, name)
);

-- `scope` is the room's id, or empty for a service of the whole project: a null in a
-- unique key would not be compared.
CREATE TABLE services (
    id TEXT PRIMARY KEY NOT NULL,
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    room_id TEXT REFERENCES rooms (id) ON DELETE CASCADE,
    scope TEXT NOT NULL,
    name TEXT NOT NULL,
    document TEXT NOT NULL,
    seq BIGINT NOT NULL,
    rev BIGINT NOT NULL,
    UNIQUE (project_id, scope, name)
);
CREATE INDEX services_order ON services (project_id, scope, seq);
CREATE INDEX services_room ON services (room_id);

CREATE TABLE service_secrets (
    service_id TEXT NOT NULL REFERENCES services (id) ON DELETE CASCADE,
    secret_id TEXT NOT NULL REFERENCES secrets (id),
    PRIMARY KEY (service_id, secret_id)
);
CREATE INDEX service_secrets_secret ON service_secrets (secret_id);

-- Mailboxes, routes and tasks name their room; the room's id is looked up when they are read.
-- Addresses and domains are compared in lower case and answered as they were given.
CREATE TABLE mailboxes (
    address TEXT PRIMARY KEY NOT NULL,
    given TEXT NOT NULL,
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    room_name TEXT NOT NULL,
    queue TEXT NOT NULL,
    public BOOLEAN NOT NULL,
    annotations TEXT NOT NULL,
    seq BIGINT NOT NULL,
    rev BIGINT NOT NULL
);
CREATE INDEX mailboxes_order ON mailboxes (project_id, seq);

CREATE TABLE routes (
    domain TEXT PRIMARY KEY NOT NULL,
    given TEXT NOT NULL,
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    room_name TEXT NOT NULL,
    port TEXT NOT NULL,
    annotations TEXT NOT NULL,
    seq BIGINT NOT NULL,
    rev BIGINT NOT NULL
);
CREATE INDEX routes_order ON routes (project_id, seq);

CREATE TABLE scheduled_tasks (
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    room_name TEXT NOT NULL,
    queue_name TEXT NOT NULL,
    payload TEXT NOT NULL,
    schedule TEXT NOT NULL,
    active BOOLEAN NOT NULL,
    once BOOLEAN NOT NULL,
    annotations TEXT NOT NULL,
    last_run_id BIGINT,
    last_start_time TEXT,
    last_end_time TEXT,
    last_status TEXT,
    last_return_message TEXT,
    seq BIGINT NOT NULL,
    rev BIGINT NOT NULL,
    PRIMARY KEY (project_id, id)
);
CREATE INDEX scheduled_tasks_order ON scheduled_tasks (project_id, seq);

CREATE TABLE webhooks (
    id TEXT PRIMARY KEY NOT NULL,
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    url TEXT NOT NULL,
    events TEXT NOT NULL,
    action TEXT,
    payload TEXT NOT NULL,
    seq BIGINT NOT NULL,
    rev BIGINT NOT NULL,
    UNIQUE (project_id, name)
);

-- A session outlives its room, so it keeps the room's name and loses only the reference.
CREATE TABLE sessions (
    id TEXT PRIMARY KEY NOT NULL,
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    room_id TEXT REFERENCES rooms (id) ON DELETE SET NULL,
    room_name TEXT NOT NULL,
    created_at TEXT NOT NULL,
    ended_at TEXT,
    participants TEXT,
    seq BIGINT NOT NULL
);
CREATE INDEX sessions_order ON sessions (project_id, seq);
CREATE INDEX sessions_room ON sessions (room_id);

CREATE TABLE session_records (
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('event', 'span', 'metric')),
    seq BIGINT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (session_id, kind, seq)
);

CREATE TABLE files (
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    path TEXT NOT NULL,
    content BLOB NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (project_id, path)
);
