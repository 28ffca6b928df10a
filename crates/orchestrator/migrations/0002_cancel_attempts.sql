-- Attempts that came with a cancel: they pay nobody, and take the place of what is signed.
ALTER TABLE attempts ADD COLUMN cancels INTEGER NOT NULL DEFAULT 0 CHECK (cancels IN (0, 1));
