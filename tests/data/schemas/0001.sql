CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE VIRTUAL TABLE keyword_index USING fts5(document);
CREATE TABLE account (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	organisation TEXT NOT NULL, 
	role TEXT NOT NULL, 
	password_hash TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	disabled BOOLEAN NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
CREATE TABLE audit (
	id INTEGER NOT NULL, 
	at BIGINT NOT NULL, 
	event TEXT NOT NULL, 
	"by" TEXT NOT NULL, 
	organisation TEXT NOT NULL, 
	threat_id TEXT, 
	revision INTEGER, 
	detail TEXT NOT NULL, 
	leaf_index BIGINT, 
	PRIMARY KEY (id)
);
CREATE INDEX audit_threat ON audit (threat_id, id);
CREATE TABLE audit_salt (
	audit_id BIGINT NOT NULL, 
	salt BLOB NOT NULL, 
	PRIMARY KEY (audit_id)
);
CREATE TABLE delivery (
	id INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	lane TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	threat_id TEXT NOT NULL, 
	organisation TEXT NOT NULL, 
	sequence INTEGER NOT NULL, 
	state TEXT NOT NULL, 
	payload BLOB NOT NULL, 
	digest TEXT NOT NULL, 
	attempts INTEGER NOT NULL, 
	next_at FLOAT NOT NULL, 
	fence INTEGER NOT NULL, 
	lease_until FLOAT NOT NULL, 
	created_at FLOAT NOT NULL, 
	sent_at FLOAT, 
	settle_until FLOAT, 
	asking BOOLEAN NOT NULL, 
	reason TEXT NOT NULL, 
	receipt TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE ("key")
);
CREATE INDEX delivery_due ON delivery (next_at) WHERE state IN ('owed', 'sending');
CREATE INDEX delivery_open ON delivery (lane, id) WHERE state IN ('owed', 'sending');
CREATE INDEX delivery_sending ON delivery (lane) WHERE state = 'sending';
CREATE INDEX delivery_threat ON delivery (threat_id, lane, id);
CREATE TABLE keyword_tally (
	viewer TEXT NOT NULL, 
	start BIGINT NOT NULL, 
	keyword TEXT NOT NULL, 
	shard INTEGER NOT NULL, 
	n INTEGER NOT NULL, 
	PRIMARY KEY (viewer, start, keyword, shard)
);
CREATE TABLE listing (
	viewer TEXT NOT NULL, 
	threat_id TEXT NOT NULL, 
	received_at BIGINT NOT NULL, 
	rank INTEGER NOT NULL, 
	status TEXT NOT NULL, 
	execution TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	organisation TEXT NOT NULL, 
	band TEXT NOT NULL, 
	criticality INTEGER NOT NULL, 
	change BIGINT NOT NULL, 
	event TEXT NOT NULL, 
	changed_at BIGINT NOT NULL, 
	PRIMARY KEY (viewer, threat_id)
);
CREATE INDEX listing_change ON listing (viewer, change);
CREATE INDEX listing_newest ON listing (viewer, received_at, threat_id);
CREATE INDEX listing_newest_organisation ON listing (viewer, organisation, received_at, threat_id);
CREATE INDEX listing_newest_organisation_status ON listing (viewer, organisation, status, received_at, threat_id);
CREATE INDEX listing_newest_status ON listing (viewer, status, received_at, threat_id);
CREATE INDEX listing_rank ON listing (viewer, rank, received_at, threat_id);
CREATE INDEX listing_rank_organisation ON listing (viewer, organisation, rank, received_at, threat_id);
CREATE INDEX listing_rank_organisation_status ON listing (viewer, organisation, status, rank, received_at, threat_id);
CREATE INDEX listing_rank_status ON listing (viewer, status, rank, received_at, threat_id);
CREATE TABLE message (
	sender TEXT NOT NULL, 
	id TEXT NOT NULL, 
	threat_id TEXT NOT NULL, 
	jws BLOB NOT NULL, 
	at BIGINT NOT NULL, 
	PRIMARY KEY (sender, id)
);
CREATE TABLE origin_tally (
	viewer TEXT NOT NULL, 
	organisation TEXT NOT NULL, 
	status TEXT NOT NULL, 
	shard INTEGER NOT NULL, 
	n INTEGER NOT NULL, 
	PRIMARY KEY (viewer, organisation, status, shard)
);
CREATE TABLE peer (
	fingerprint TEXT NOT NULL, 
	organisation TEXT NOT NULL, 
	name TEXT NOT NULL, 
	url TEXT NOT NULL, 
	certificate TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	created_by TEXT NOT NULL, 
	revoked_at BIGINT, 
	PRIMARY KEY (fingerprint)
);
CREATE TABLE policy_setting (
	id TEXT NOT NULL, 
	organisation TEXT NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE INDEX ix_policy_setting_organisation ON policy_setting (organisation);
CREATE TABLE raw (
	threat_id TEXT NOT NULL, 
	revision INTEGER NOT NULL, 
	key_id TEXT, 
	bytes BLOB NOT NULL, 
	PRIMARY KEY (threat_id, revision)
);
CREATE TABLE sequence (
	name TEXT NOT NULL, 
	value BIGINT NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE session (
	id TEXT NOT NULL, 
	account_id TEXT, 
	data BLOB NOT NULL, 
	expires_at BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE INDEX ix_session_account_id ON session (account_id);
CREATE INDEX ix_session_expires_at ON session (expires_at);
CREATE TABLE stop (
	organisation TEXT NOT NULL, 
	"by" TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	PRIMARY KEY (organisation)
);
CREATE TABLE tally (
	viewer TEXT NOT NULL, 
	span TEXT NOT NULL, 
	start BIGINT NOT NULL, 
	kind TEXT NOT NULL, 
	status TEXT NOT NULL, 
	band TEXT NOT NULL, 
	shard INTEGER NOT NULL, 
	n INTEGER NOT NULL, 
	PRIMARY KEY (viewer, span, start, kind, status, band, shard)
);
CREATE TABLE threat (
	seq INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	identity TEXT, 
	organisation TEXT NOT NULL, 
	origin TEXT, 
	body TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	UNIQUE (id), 
	UNIQUE (identity)
);
CREATE TABLE token (
	prefix TEXT NOT NULL, 
	secret_hash TEXT NOT NULL, 
	name TEXT NOT NULL, 
	organisation TEXT NOT NULL, 
	rights TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT, 
	revoked_at BIGINT, 
	criticality_order TEXT NOT NULL, 
	orchestrator TEXT NOT NULL, 
	PRIMARY KEY (prefix)
);
INSERT INTO alembic_version VALUES ('0001');
