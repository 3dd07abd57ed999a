-- What hubs have sent, and how far each stream of theirs is complete.

CREATE TABLE stream (
    hub text NOT NULL,
    class smallint NOT NULL,
    epoch bigint NOT NULL,
    -- The numbers that are here, refused or absent.
    covered int8multirange NOT NULL DEFAULT '{}',
    entries bigint NOT NULL DEFAULT 0,
    duplicates bigint NOT NULL DEFAULT 0,
    refused bigint NOT NULL DEFAULT 0,
    conflicts bigint NOT NULL DEFAULT 0,
    absent bigint NOT NULL DEFAULT 0,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (hub, class, epoch)
);

CREATE TABLE entry (
    hub text NOT NULL,
    class smallint NOT NULL,
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    id text NOT NULL,
    system text NOT NULL,
    kind text NOT NULL,
    source_id text NOT NULL,
    patient text,
    at timestamptz NOT NULL,
    clock_synchronised boolean NOT NULL,
    body bytea NOT NULL,
    raw bytea,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (hub, class, epoch, seq)
);

CREATE INDEX entry_source_id ON entry (source_id);
CREATE INDEX entry_patient ON entry (patient) WHERE patient IS NOT NULL;

CREATE TABLE refusal (
    hub text NOT NULL,
    class smallint NOT NULL,
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    reason text NOT NULL,
    refused_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (hub, class, epoch, seq)
);

CREATE TABLE absence (
    hub text NOT NULL,
    class smallint NOT NULL,
    epoch bigint NOT NULL,
    first bigint NOT NULL,
    last bigint NOT NULL,
    reason text NOT NULL,
    told_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (hub, class, epoch, first, last)
);
