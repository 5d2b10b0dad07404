-- What was said of a release as a whole since it was created: blocked, archived.
-- The cached fold of the release's own lines in `events`.
ALTER TABLE releases ADD COLUMN standing TEXT NOT NULL DEFAULT '{}';
-- The same, to be searched for.
ALTER TABLE releases ADD COLUMN archived INTEGER NOT NULL DEFAULT 0;
CREATE INDEX releases_in_sight ON releases (project, number) WHERE archived = 0;

-- What an environment saw last.
CREATE INDEX deployments_of_environment ON deployments (project, environment, number);

-- Times in which no deployment starts. Removed ones stay, for whoever asks why
-- something waited.
CREATE TABLE freezes (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL,
    doc        TEXT NOT NULL,
    -- When its last window ends; null when they go on for ever.
    ends_at    INTEGER,
    removed_at INTEGER,
    removed_by TEXT
) STRICT;
CREATE UNIQUE INDEX one_freeze_of_a_name ON freezes (name) WHERE removed_at IS NULL;
