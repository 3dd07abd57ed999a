-- Who has opened whose record, for telling the hubs that have given something of it.

CREATE INDEX entry_opened ON entry (received_at) WHERE kind = 'record.opened';
CREATE INDEX entry_patient_received ON entry (patient, received_at) WHERE patient IS NOT NULL;
DROP INDEX entry_patient;
