-- Times are microseconds since 1970 UTC. Lists and maps are JSON.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;
-- Raised at each start; agents refuse an epoch lower than one they have seen.
INSERT INTO meta (key, value) VALUES ('epoch', 0);

CREATE TABLE projects (
    name           TEXT PRIMARY KEY,
    newest_version INTEGER NOT NULL
) STRICT;

CREATE TABLE project_versions (
    project    TEXT NOT NULL REFERENCES projects (name),
    version    INTEGER NOT NULL,
    -- The file as it was applied, and what it was understood as.
    definition TEXT NOT NULL,
    parsed     TEXT NOT NULL,
    applied_at INTEGER NOT NULL,
    applied_by TEXT NOT NULL,
    PRIMARY KEY (project, version)
) STRICT;

-- One ECS service belongs to one project.
CREATE TABLE claims (
    account     TEXT NOT NULL,
    region      TEXT NOT NULL,
    cluster     TEXT NOT NULL,
    ecs_service TEXT NOT NULL,
    project     TEXT NOT NULL REFERENCES projects (name),
    PRIMARY KEY (account, region, cluster, ecs_service)
) STRICT;
CREATE INDEX claims_of_project ON claims (project);

-- `doc` here and below is the domain's value as JSON: the cached fold of the
-- events. The columns beside it are what is searched for.
CREATE TABLE releases (
    number          INTEGER PRIMARY KEY AUTOINCREMENT,
    project         TEXT NOT NULL,
    version         TEXT NOT NULL,
    project_version INTEGER NOT NULL,
    doc             TEXT NOT NULL,
    -- Nothing comes of it by itself: the run loop looks at it again after the next command.
    at_rest         INTEGER NOT NULL DEFAULT 0,
    UNIQUE (project, version),
    FOREIGN KEY (project, project_version) REFERENCES project_versions (project, version)
) STRICT;
CREATE INDEX releases_of_project ON releases (project, number);
CREATE INDEX releases_moving ON releases (project) WHERE at_rest = 0;

CREATE TABLE deployments (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT NOT NULL UNIQUE,
    release     INTEGER NOT NULL REFERENCES releases (number),
    project     TEXT NOT NULL,
    environment TEXT NOT NULL,
    state       TEXT NOT NULL,
    -- Without its operations, which have their own rows.
    doc         TEXT NOT NULL,
    -- It has not ended, or the truth about one of its operations is still out.
    open        INTEGER NOT NULL,
    -- Who drives it, when several orchestrators share the work.
    lease_owner TEXT,
    lease_epoch INTEGER NOT NULL DEFAULT 0,
    lease_until INTEGER
) STRICT;
-- One deployment at a time per project and environment.
CREATE UNIQUE INDEX one_running_deployment ON deployments (project, environment) WHERE state = 'running';
CREATE INDEX deployments_of_project ON deployments (project, number);
CREATE INDEX deployments_of_release ON deployments (release, number);
CREATE INDEX deployments_open ON deployments (project) WHERE open = 1;

CREATE TABLE operations (
    id            TEXT PRIMARY KEY,
    deployment    TEXT NOT NULL REFERENCES deployments (id),
    -- The order inside the deployment.
    ordinal       INTEGER NOT NULL,
    service       TEXT NOT NULL,
    target        TEXT NOT NULL,
    agent         TEXT NOT NULL,
    -- What is sent, fixed when the deployment is created.
    payload       TEXT NOT NULL,
    -- State, expected state, sends, verdict with reason, diagnosis and outputs.
    doc           TEXT NOT NULL,
    -- The agent's incarnation that spoke last, and its last stored event.
    incarnation   TEXT NOT NULL DEFAULT '',
    last_sequence INTEGER NOT NULL DEFAULT 0,
    UNIQUE (deployment, ordinal)
) STRICT;

-- What runs where: the newest ended operation of each cell, and the newest that ended well.
CREATE TABLE cells (
    project        TEXT NOT NULL,
    environment    TEXT NOT NULL,
    service        TEXT NOT NULL,
    target         TEXT NOT NULL,
    last_operation TEXT NOT NULL REFERENCES operations (id),
    good_operation TEXT REFERENCES operations (id),
    observed_at    INTEGER NOT NULL,
    PRIMARY KEY (project, environment, service, target)
) STRICT, WITHOUT ROWID;

-- The append-only log: each line is written with the state that it explains.
CREATE TABLE events (
    cursor     INTEGER PRIMARY KEY AUTOINCREMENT,
    release    INTEGER NOT NULL REFERENCES releases (number),
    -- Null for events of the release itself.
    deployment TEXT REFERENCES deployments (id),
    operation  TEXT REFERENCES operations (id),
    kind       TEXT NOT NULL,
    -- One line for a person.
    message    TEXT NOT NULL,
    -- The state that the deployment came into, when it did.
    state      TEXT,
    verdict    TEXT,
    -- The domain's event, from which the stored state can be folded again.
    payload    TEXT NOT NULL,
    at         INTEGER NOT NULL
) STRICT;
CREATE INDEX events_of_release ON events (release, cursor);
CREATE TRIGGER events_stay_1 BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER events_stay_2 BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;

-- What agents told, once each: the wire message as it came.
CREATE TABLE operation_events (
    operation   TEXT NOT NULL REFERENCES operations (id),
    incarnation TEXT NOT NULL,
    sequence    INTEGER NOT NULL,
    message     BLOB NOT NULL,
    PRIMARY KEY (operation, incarnation, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE agents (
    name         TEXT PRIMARY KEY,
    mode         TEXT NOT NULL,
    address      TEXT,
    invited_at   INTEGER NOT NULL,
    joined_at    INTEGER,
    -- As the agent said itself when it was last connected.
    account      TEXT NOT NULL DEFAULT '',
    version      TEXT NOT NULL DEFAULT '',
    regions      TEXT NOT NULL DEFAULT '[]',
    -- The last change that was seen, connected or offline, and why.
    connected    INTEGER NOT NULL DEFAULT 0,
    since        INTEGER NOT NULL,
    reason       TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE operators (
    name       TEXT PRIMARY KEY,
    role       TEXT NOT NULL,
    invited_at INTEGER NOT NULL,
    joined_at  INTEGER
) STRICT;

CREATE TABLE join_tokens (
    -- SHA-256 in hex; the secret itself is stored nowhere.
    secret_hash TEXT PRIMARY KEY,
    -- agent or operator.
    kind        TEXT NOT NULL,
    name        TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    created_by  TEXT NOT NULL,
    expires_at  INTEGER NOT NULL,
    used_at     INTEGER
) STRICT, WITHOUT ROWID;
