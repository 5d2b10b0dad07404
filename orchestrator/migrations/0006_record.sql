-- Audit, notifications, drift.

-- Who changed what: one row for each call that changes something, written with
-- the change. Each row's hash covers the one before.
CREATE TABLE audit (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,
    at       INTEGER NOT NULL,
    identity TEXT NOT NULL,
    rpc      TEXT NOT NULL,
    -- JSON: without secrets, long texts by their SHA-256.
    request  TEXT NOT NULL,
    outcome  TEXT NOT NULL,
    result   TEXT NOT NULL,
    previous TEXT NOT NULL,
    hash     TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_time ON audit (at);
CREATE TRIGGER audit_stays_1 BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_stays_2 BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_stays_3 BEFORE INSERT ON audit
    WHEN EXISTS (SELECT 1 FROM audit WHERE number = NEW.number)
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

-- Who is told what happens.
CREATE TABLE notifications (
    name       TEXT PRIMARY KEY,
    -- The subscription as the domain knows it.
    doc        TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    -- Events up to here were looked at: those that match are in the outbox.
    cursor     INTEGER NOT NULL,
    delivered  INTEGER NOT NULL DEFAULT 0,
    last_delivered_at INTEGER,
    -- Why the newest attempt failed; empty when it did not.
    last_problem TEXT NOT NULL DEFAULT ''
) STRICT;

-- What waits to be delivered, in its order for each receiver.
CREATE TABLE outbox (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    notification TEXT NOT NULL REFERENCES notifications (name) ON DELETE CASCADE,
    -- The event that it tells of.
    cursor       INTEGER NOT NULL,
    -- The CloudEvent's id, the same over all attempts, its type, and all of it.
    event_id     TEXT NOT NULL,
    type         TEXT NOT NULL,
    event        TEXT NOT NULL,
    summary      TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    -- waiting, delivered, dead
    state        TEXT NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    -- When it was tried for the first time: from here on counts when it is given up on.
    first_tried_at INTEGER,
    next_at      INTEGER NOT NULL,
    ended_at     INTEGER,
    problem      TEXT NOT NULL DEFAULT '',
    UNIQUE (notification, cursor)
) STRICT;
CREATE INDEX outbox_waiting ON outbox (notification, number) WHERE state = 'waiting';
CREATE INDEX outbox_ended ON outbox (notification, state, ended_at);

-- What was found to run in a cell, compared with what was released there.
CREATE TABLE drift (
    project        TEXT NOT NULL,
    environment    TEXT NOT NULL,
    service        TEXT NOT NULL,
    target         TEXT NOT NULL,
    -- The operation that put there what it was compared with.
    good_operation TEXT NOT NULL REFERENCES operations (id),
    -- The difference as JSON; null when there is none.
    drift          TEXT,
    -- When the difference was found first.
    since          INTEGER,
    -- As JSON: what of the cell was seen first after that operation.
    baseline       TEXT,
    -- When the account was last asked, and answered.
    checked_at     INTEGER,
    -- Why it could not be asked since; empty when it could.
    problem        TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (project, environment, service, target)
) STRICT, WITHOUT ROWID;

-- When this database was restored from a backup, and when that was made; 0: never.
INSERT OR IGNORE INTO meta (key, value) VALUES ('restored_at', 0), ('backup_made_at', 0);
