-- Indexes of corpus.db.  merge drops those of the tables that it loads and
-- makes them again when the rows are in: one sort instead of a random write a
-- row.  A catalogue without them answers the same, slower.
CREATE INDEX IF NOT EXISTS query_norm ON query (norm);
CREATE INDEX IF NOT EXISTS query_group ON query (group_id);
CREATE INDEX IF NOT EXISTS synset_name ON synset (name);
CREATE INDEX IF NOT EXISTS synset_query ON synset (query_id);
CREATE INDEX IF NOT EXISTS pair_url ON pair (url);
CREATE INDEX IF NOT EXISTS pair_host ON pair (host);
CREATE INDEX IF NOT EXISTS pair_query_group ON pair_query (group_id, pair_id);
