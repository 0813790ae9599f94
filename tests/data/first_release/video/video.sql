BEGIN TRANSACTION;
CREATE TABLE video_fragments (
	stream_id INTEGER NOT NULL, 
	number VARCHAR NOT NULL, 
	server_ms BIGINT NOT NULL, 
	producer_ms BIGINT NOT NULL, 
	length_ms BIGINT NOT NULL, 
	header_digest BLOB NOT NULL, 
	segment INTEGER NOT NULL, 
	"offset" BIGINT NOT NULL, 
	size BIGINT NOT NULL, 
	PRIMARY KEY (stream_id, number), 
	FOREIGN KEY(stream_id) REFERENCES video_streams (id) ON DELETE CASCADE
);
INSERT INTO "video_fragments" VALUES(1,'91343852333181432392682062658249485028260243491',1700000000000,1700000000000,1000,X'1E0584A25D9F43BF5CBD0AEC01EB1AF2220ED085B4E7F1837B0D89958CAE353A',1,0,13);
CREATE TABLE video_headers (
	stream_id INTEGER NOT NULL, 
	digest BLOB NOT NULL, 
	data BLOB NOT NULL, 
	PRIMARY KEY (stream_id, digest), 
	FOREIGN KEY(stream_id) REFERENCES video_streams (id) ON DELETE CASCADE
);
INSERT INTO "video_headers" VALUES(1,X'1E0584A25D9F43BF5CBD0AEC01EB1AF2220ED085B4E7F1837B0D89958CAE353A',X'686561646572');
CREATE TABLE video_stream_tags (
	stream_id INTEGER NOT NULL, 
	"key" VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	PRIMARY KEY (stream_id, "key"), 
	FOREIGN KEY(stream_id) REFERENCES video_streams (id) ON DELETE CASCADE
);
INSERT INTO "video_stream_tags" VALUES(1,'site','door');
CREATE TABLE video_streams (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	region VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	created_ms BIGINT NOT NULL, 
	version VARCHAR NOT NULL, 
	retention_hours INTEGER NOT NULL, 
	device_name VARCHAR, 
	media_type VARCHAR, 
	kms_key_id VARCHAR, 
	blocks BIGINT NOT NULL, 
	UNIQUE (region, name)
);
INSERT INTO "video_streams" VALUES(1,'us-east-1','cam',1700000000000,'WzVyypkMN0PVYbj7I8GZ',87600,'door','video/h264',NULL,1);
CREATE INDEX video_fragments_by_segment ON video_fragments (stream_id, segment);
CREATE INDEX video_fragments_by_server_time ON video_fragments (stream_id, server_ms);
CREATE INDEX video_fragments_by_producer_time ON video_fragments (stream_id, producer_ms);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('video_streams',1);
COMMIT;
