-- When scheduled tasks run, and their last runs. Times are in one form, so they compare as texts.
--
-- `since` is when the task got its schedule, or was activated: intervals are counted from it. An
-- empty `due_at` is not known yet; `fired_for` is the last time for which the task has run.
ALTER TABLE scheduled_tasks ADD COLUMN since TEXT;
ALTER TABLE scheduled_tasks ADD COLUMN due_at TEXT NOT NULL DEFAULT '';
ALTER TABLE scheduled_tasks ADD COLUMN fired_for TEXT;
CREATE INDEX scheduled_tasks_due ON scheduled_tasks (due_at) WHERE active AND container IS NULL;

CREATE TABLE task_runs (
    project_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    room_id TEXT NOT NULL,
    room_name TEXT NOT NULL,
    status TEXT NOT NULL,
    error TEXT,
    scheduled_time TEXT NOT NULL,
    started_at TEXT NOT NULL,
    completed_at TEXT NOT NULL,
    PRIMARY KEY (project_id, task_id, seq),
    FOREIGN KEY (project_id, task_id) REFERENCES scheduled_tasks (project_id, id) ON DELETE CASCADE
);
