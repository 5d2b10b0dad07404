-- A release's channel as a column that can be searched; what is stored stays as it is.
ALTER TABLE releases ADD COLUMN channel TEXT
    GENERATED ALWAYS AS (CASE WHEN json_valid(doc) THEN json_extract(doc, '$.channel') END) VIRTUAL;
CREATE INDEX releases_of_channel ON releases (project, channel, number);

-- How many versions a project's templates have made on a day (UTC).
CREATE TABLE release_sequences (
    project TEXT NOT NULL REFERENCES projects (name),
    -- YYYY-MM-DD
    day     TEXT NOT NULL,
    last    INTEGER NOT NULL,
    PRIMARY KEY (project, day)
) STRICT, WITHOUT ROWID;

-- What the tag of a release's image named in a repository when it was last looked
-- at, where that was another digest than the release's.
CREATE TABLE moved_tags (
    release    INTEGER NOT NULL REFERENCES releases (number),
    image      TEXT NOT NULL,
    -- registry/repository
    repository TEXT NOT NULL,
    digest     TEXT NOT NULL,
    seen_at    INTEGER NOT NULL,
    PRIMARY KEY (release, image, repository)
) STRICT, WITHOUT ROWID;
