-- Agents that the platform keeps for clients of 0.56: a configuration each, as it was written. Names
-- are in lower case.
CREATE TABLE agents (
    id TEXT PRIMARY KEY NOT NULL,
    project_id TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    configuration TEXT NOT NULL,
    seq BIGINT NOT NULL,
    rev BIGINT NOT NULL,
    UNIQUE (project_id, name)
);
CREATE INDEX agents_order ON agents (project_id, seq);

-- The secrets that agents name. They stay as long as an agent does so.
CREATE TABLE agent_held_secrets (
    agent_id TEXT NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    secret_id TEXT NOT NULL REFERENCES held_secrets (id),
    PRIMARY KEY (agent_id, secret_id)
);
CREATE INDEX agent_held_secrets_secret ON agent_held_secrets (secret_id);
