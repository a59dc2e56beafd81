-- crawl.db: the frontier of `witmill crawl`, and what it knows of hosts.
-- Written by one crawl at a time (crawl.lock); readable beside it at any time.
-- Every transaction leaves it in step with pairs/crawl: a page is done, its
-- links are here and its pairs stand below part.bytes, or none of it.

-- Facts of the crawl as a whole.
--   seen_key     16 random bytes, the key of the hashes of URLs in memory
--   fingerprint  of the stage (base/stage): other seeds or scope are refused
--   out-J        durable bytes of pairs/crawl/out-I-to-J.jsonl.zst (--part I/N)
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

-- Hosts that a known URL has, without port, lower case.
CREATE TABLE host (
    id   INTEGER PRIMARY KEY, -- from 1, in the order they came
    name TEXT NOT NULL
);

-- Every URL that was ever offered: rows are appended, never removed.  There is
-- no index on text: that would cost more than all the rest (page after page of
-- random keys).  The crawl finds URLs by their hash in memory, rows by id.
CREATE TABLE url (
    id    INTEGER PRIMARY KEY, -- from 1, in the order they came
    host  INTEGER NOT NULL,    -- host.id
    depth INTEGER NOT NULL,    -- fewest links from a seed known so far
    state INTEGER NOT NULL,    -- 0 waits; 1 page, its pairs are taken; 2 leads
                               -- to another URL; 3 page read for its links, a
                               -- signal refuses its pairs; 4 handed to another
                               -- part (crawl --part); 16 + reason.id ended
                               -- without a page
    text  TEXT NOT NULL        -- canonical (base/url)
);

-- Where a page's links lead, so that a page met again on a shorter path can
-- offer them anew without being fetched again.
CREATE TABLE link (
    page    INTEGER PRIMARY KEY, -- url.id
    targets BLOB NOT NULL        -- url.ids, ascending, as LEB128 differences
);

-- Why URLs ended without a page: 16 + id in url.state.
CREATE TABLE reason (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

-- URLs whose pairs were refused by robots.txt or a consent signal.
CREATE TABLE refusal (
    url    INTEGER PRIMARY KEY, -- url.id
    signal TEXT NOT NULL,       -- "robots", "noai", "content-signal"...
    other  TEXT                 -- for signals to come (Content-Usage, TDMRep)
);

-- robots.txt as last fetched.
CREATE TABLE robots (
    origin  TEXT PRIMARY KEY,  -- scheme://host[:port]
    status  INTEGER NOT NULL,  -- of the answer that decided; 0 unreachable
    fetched INTEGER NOT NULL,  -- seconds since 1970
    body    BLOB NOT NULL      -- of a 2xx
) WITHOUT ROWID;

-- Parts pairs/crawl/part-NNNNN.jsonl.zst.
CREATE TABLE part (
    number INTEGER PRIMARY KEY, -- NNNNN
    bytes  INTEGER NOT NULL,    -- durable length; what is behind it is torn
    closed INTEGER NOT NULL     -- 1: complete; its sidecar is there or due
);

-- What goes into a part's sidecar.
CREATE TABLE part_count (
    part INTEGER NOT NULL,      -- part.number
    kind INTEGER NOT NULL,      -- 0 counts; pages 1 refused, 2 failed; 3 pairs
                                -- dropped
    name TEXT NOT NULL,         -- "pages", "records"...; or the reason
    n    INTEGER NOT NULL,
    PRIMARY KEY (part, kind, name)
) WITHOUT ROWID;
