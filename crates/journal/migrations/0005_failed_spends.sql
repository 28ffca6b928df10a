-- Whether what aged is an attempt that landed and did nothing but pay its fee: it counts beside its lineage.
ALTER TABLE spends ADD COLUMN failed INTEGER NOT NULL DEFAULT 0 CHECK (failed IN (0, 1));
