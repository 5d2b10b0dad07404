-- A deployment that waits for a person's decision holds its environment as well.
DROP INDEX one_running_deployment;
CREATE UNIQUE INDEX one_running_deployment ON deployments (project, environment)
    WHERE state IN ('running', 'awaiting_intervention');
CREATE INDEX deployments_into ON deployments (project, environment, number);

-- Sent, as far as can be known, and not over: what the limits count.
ALTER TABLE operations ADD COLUMN is_out INTEGER NOT NULL DEFAULT 0;
UPDATE operations SET is_out = 1
    WHERE json_valid(doc)
      AND (json_type(doc, '$.state.intended') IS NOT NULL OR json_type(doc, '$.state.running') IS NOT NULL);
CREATE INDEX operations_out ON operations (agent) WHERE is_out = 1;

-- What came to run in a cell, in this order: the operation whose payload runs
-- since. After a roll-back that is one of an earlier deployment.
CREATE TABLE good_ends (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    project     TEXT NOT NULL,
    environment TEXT NOT NULL,
    service     TEXT NOT NULL,
    target      TEXT NOT NULL,
    -- In which it came to run.
    deployment  TEXT NOT NULL REFERENCES deployments (id),
    operation   TEXT NOT NULL REFERENCES operations (id),
    at          INTEGER NOT NULL
) STRICT;
CREATE INDEX good_ends_of_cell ON good_ends (project, environment, service, target, number);
-- What is known from before.
INSERT INTO good_ends (project, environment, service, target, deployment, operation, at)
    SELECT c.project, c.environment, c.service, c.target, o.deployment, o.id, c.observed_at
    FROM cells c JOIN operations o ON o.id = c.good_operation;
