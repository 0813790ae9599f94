BEGIN TRANSACTION;
CREATE TABLE orphan (
	shard_key INTEGER NOT NULL, 
	PRIMARY KEY (shard_key)
);
INSERT INTO "orphan" VALUES(99);
CREATE TABLE record (
	shard_key INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	arrival_ms INTEGER NOT NULL, 
	partition_key VARCHAR NOT NULL, 
	data BLOB NOT NULL, 
	PRIMARY KEY (shard_key, position)
);
INSERT INTO "record" VALUES(1,1,1700000000000,'cam',X'7B2261223A317D');
INSERT INTO "record" VALUES(1,2,1700000000000,'cam',X'7B2261223A327D');
CREATE TABLE secret (
	value BLOB NOT NULL
);
INSERT INTO "secret" VALUES(X'4F69E7937D5A0FCD14D5605F468C5D83A394F2970EDFAAA05CE0172E41FD8D7B');
CREATE TABLE shard (
	"key" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	stream_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	last_position INTEGER NOT NULL, 
	UNIQUE (stream_id, number), 
	FOREIGN KEY(stream_id) REFERENCES stream (id) ON DELETE CASCADE
);
INSERT INTO "shard" VALUES(1,1,0,2);
CREATE TABLE stream (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	region VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	created_ms INTEGER NOT NULL, 
	mode VARCHAR NOT NULL, 
	retention_hours INTEGER NOT NULL, 
	record_bytes_max INTEGER NOT NULL, 
	tags JSON NOT NULL, 
	UNIQUE (region, name)
);
INSERT INTO "stream" VALUES(1,'us-east-1','faces',1700000000000,'PROVISIONED',8760,1048576,'{"k": "v"}');
CREATE INDEX record_arrival ON record (shard_key, arrival_ms, position);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('stream',1);
INSERT INTO "sqlite_sequence" VALUES('shard',1);
COMMIT;
