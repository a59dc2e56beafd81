-- corpus.db, schema version 1.  application_id 0x574d4344 ("WMCD").
--
-- The catalogue of a corpus: what `witmill merge` folded from the files that
-- the stages wrote.  Everything here can be made again from those files; the
-- files never depend on it.  Equal corpora give equal ordered dumps of all
-- tables but `run`.  Below: column, then meaning.  Tables without rowid declare
-- their key first and in its order: SQLite 3.40's quick_check reports NULLs in
-- others.

-- ---- the query list, from queries.bin ----

CREATE TABLE query (
    id       INTEGER PRIMARY KEY, -- place in the list, from 0
    text     TEXT NOT NULL,       -- the entry as listed
    norm     TEXT NOT NULL,       -- what is matched: its words, one space
                                  -- between; '' when it has none
    group_id INTEGER,             -- smallest id with this norm; NULL when the
                                  -- norm is '' and nothing can match
    sources  TEXT NOT NULL,       -- where it was found, names joined by ','
    cannot   TEXT,                -- why nothing can match it: 'no-words', or
                                  -- 'spacing' (MetaCLIP's rule sets apart a
                                  -- character of it); NULL: it can
    count    INTEGER,             -- occurrences in the text it came from
    pmi      REAL,                -- of a bigram: pointwise mutual information
    views    INTEGER,             -- of a title: page views
    synset   TEXT                 -- of a WordNet name: its first synset
);

CREATE TABLE synset (
    id       INTEGER PRIMARY KEY, -- place in WordNet's order, from 0
    name     TEXT NOT NULL,       -- 'dog.n.01'
    query_id INTEGER,             -- entry that stands for it, if any
    gloss    TEXT NOT NULL        -- its definition
);

CREATE TABLE synset_parent (
    parent   INTEGER NOT NULL,    -- synset.id of a hypernym
    child    INTEGER NOT NULL,    -- synset.id
    PRIMARY KEY (parent, child)
) WITHOUT ROWID;

-- ---- numbers of a query at each stage; they are the group's ----

CREATE TABLE query_count (
    stage    TEXT NOT NULL        -- where it was counted
             CHECK (stage IN ('gather', 'balance', 'dedup', 'pack')),
    group_id INTEGER NOT NULL,    -- query.group_id
    cap      INTEGER,             -- t after the last round; NULL at gather
    picks    INTEGER,             -- pairs with d < t; NULL at gather
    contains INTEGER NOT NULL,    -- pairs that match, by whomever picked
    PRIMARY KEY (stage, group_id)
) WITHOUT ROWID;

-- ---- outputs of the stages, from their sidecars ----

CREATE TABLE part (
    output      TEXT PRIMARY KEY, -- name in the corpus folder, no suffix
    stage       TEXT NOT NULL,    -- command that made it
    scope       TEXT NOT NULL,    -- what its numbers are summed under: its
                                  -- folder, or images/RR for download pass RR
    fingerprint TEXT NOT NULL,    -- of the sidecar
    content     TEXT NOT NULL     -- sha256 over its files, counts and drops
) WITHOUT ROWID;

CREATE TABLE stage_count (
    output   TEXT NOT NULL,       -- part.output
    name     TEXT NOT NULL,       -- what was counted: 'pages', 'records'
    n        INTEGER NOT NULL,    -- how many
    PRIMARY KEY (output, name)
) WITHOUT ROWID;

CREATE TABLE drop_count (
    output   TEXT NOT NULL,       -- part.output
    reason   TEXT NOT NULL,       -- why, as in the sidecar
    n        INTEGER NOT NULL,    -- how many records, URLs or images
    PRIMARY KEY (output, reason)
) WITHOUT ROWID;

CREATE TABLE host (
    output   TEXT NOT NULL,       -- part.output of the ledger
    host     TEXT NOT NULL,       -- without port
    asked    INTEGER NOT NULL,    -- URLs that have an outcome
    images   INTEGER NOT NULL,    -- of which gave an image
    PRIMARY KEY (output, host)
) WITHOUT ROWID;

CREATE TABLE host_failure (
    output   TEXT NOT NULL,       -- part.output of the ledger
    host     TEXT NOT NULL,       -- without port
    outcome  TEXT NOT NULL,       -- 'failed', 'rejected', 'refused'
    reason   TEXT NOT NULL,       -- as in the ledger
    n        INTEGER NOT NULL,    -- URLs
    PRIMARY KEY (output, host, outcome, reason)
) WITHOUT ROWID;

CREATE TABLE shard (
    output   TEXT PRIMARY KEY,    -- part.output
    shard    INTEGER NOT NULL,    -- its number
    samples  INTEGER NOT NULL,    -- rows
    bytes    INTEGER NOT NULL,    -- of the tar
    sha256   TEXT NOT NULL        -- of the tar
) WITHOUT ROWID;

-- ---- selected pairs: all, a sample, or none (merge --catalog) ----
-- Loaded in the order of (H(url), url, uid); their indexes are made last and
-- stand in index.sql.

CREATE TABLE pair (
    id       INTEGER PRIMARY KEY, -- from 1, in that order
    uid      TEXT NOT NULL,       -- 32 hex digits
    url      TEXT NOT NULL,       -- of the picture, canonical
    host     TEXT NOT NULL,       -- of url, without port
    text     TEXT NOT NULL,       -- what speaks of it
    origin   TEXT NOT NULL,       -- where it was read
    page     TEXT NOT NULL,       -- URL of the page, '' for a list
    found_as TEXT NOT NULL,       -- alt, title, figcaption, aria-label, og...
    round    INTEGER NOT NULL,    -- balance round that selected it
    s        INTEGER NOT NULL,    -- kept under every cap above it
    outcome  TEXT,                -- of the download; NULL: not asked
    reason   TEXT,                -- of the outcome; NULL for an image
    width    INTEGER,             -- pixels as stored; NULL without image
    height   INTEGER,             -- likewise
    sample   INTEGER              -- row of its URL in shards/, from 0 over all;
                                  -- NULL: not packed or a duplicate
);

CREATE TABLE pair_query (
    pair_id  INTEGER NOT NULL,    -- pair.id
    group_id INTEGER NOT NULL,    -- a query the text contains
    picked   INTEGER NOT NULL,    -- 1: d < t(q) at the last t(q)
    PRIMARY KEY (pair_id, group_id)
) WITHOUT ROWID;

-- ---- bookkeeping ----

CREATE TABLE fact (
    name     TEXT PRIMARY KEY,    -- 'seed', 'bucket_bits', 'policy'...
    value    TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE section (
    name     TEXT PRIMARY KEY,    -- group of tables loaded together
    digest   TEXT NOT NULL        -- of all it was made from
) WITHOUT ROWID;

CREATE TABLE run (
    output   TEXT PRIMARY KEY,    -- part.output
    finished TEXT,                -- when its stage was done, ISO 8601
    seconds  REAL,                -- how long it took
    merged   TEXT NOT NULL        -- when merge read it, ISO 8601
) WITHOUT ROWID;

-- ---- views ----

-- Every entry with its numbers down the chain.
CREATE VIEW coverage AS
SELECT q.id, q.text, q.norm, q.group_id, q.sources,
       g.contains AS found,          -- c(q): unique pairs that match
       b.cap      AS cap,            -- t(q) after the last round
       b.picks    AS picks,          -- selected pairs that it picked
       b.contains AS selected,       -- selected pairs that match
       d.picks    AS survived_picks, -- with an image that is no duplicate
       d.contains AS survived,
       p.picks    AS packed_picks,   -- in shards
       p.contains AS packed
FROM query q
LEFT JOIN query_count g ON g.stage = 'gather' AND g.group_id = q.group_id
LEFT JOIN query_count b ON b.stage = 'balance' AND b.group_id = q.group_id
LEFT JOIN query_count d ON d.stage = 'dedup' AND d.group_id = q.group_id
LEFT JOIN query_count p ON p.stage = 'pack' AND p.group_id = q.group_id;

-- Sums over parts.
CREATE VIEW stage_total AS
SELECT p.stage, p.scope, c.name, sum(c.n) AS n
FROM stage_count c JOIN part p ON p.output = c.output
GROUP BY p.stage, p.scope, c.name;

CREATE VIEW drop_total AS
SELECT p.stage, p.scope, c.reason, sum(c.n) AS n
FROM drop_count c JOIN part p ON p.output = c.output
GROUP BY p.stage, p.scope, c.reason;

CREATE VIEW host_total AS
SELECT host, sum(asked) AS asked, sum(images) AS images
FROM host GROUP BY host;
