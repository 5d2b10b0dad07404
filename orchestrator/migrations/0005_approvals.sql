-- The plan of a deployment that people approve, with all that an approver sees.
-- The newest counts; those that it took the place of stay, for whoever asks
-- why an approval was void.
CREATE TABLE deployment_plans (
    deployment TEXT NOT NULL REFERENCES deployments (id),
    -- 1 for the first.
    ordinal    INTEGER NOT NULL,
    hash       TEXT NOT NULL,
    made_at    INTEGER NOT NULL,
    -- What each agent planned.
    doc        TEXT NOT NULL,
    PRIMARY KEY (deployment, ordinal)
) STRICT, WITHOUT ROWID;
