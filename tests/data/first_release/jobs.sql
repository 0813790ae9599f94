BEGIN TRANSACTION;
CREATE TABLE item_groups (
	job INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	listed BOOLEAN NOT NULL, 
	body TEXT NOT NULL, 
	sort_key TEXT NOT NULL, 
	PRIMARY KEY (job, number), 
	FOREIGN KEY(job) REFERENCES jobs ("key")
);
INSERT INTO "item_groups" VALUES(1,0,1,'{"Face":{"Eyes":"open"}}','');
CREATE TABLE items (
	"key" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	job INTEGER NOT NULL, 
	aggregation VARCHAR(16) NOT NULL, 
	timestamp_ms BIGINT NOT NULL, 
	sort_key TEXT NOT NULL, 
	confidence FLOAT NOT NULL, 
	"group" INTEGER, 
	body TEXT NOT NULL, 
	FOREIGN KEY(job) REFERENCES jobs ("key")
);
INSERT INTO "items" VALUES(1,1,'TIMESTAMPS',200,'',0.0,0,'{"Face":{"Confidence":99.0}}');
CREATE TABLE jobs (
	"key" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	id VARCHAR(64) NOT NULL, 
	region VARCHAR(32) NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	spec JSON NOT NULL, 
	token VARCHAR(64), 
	status VARCHAR(16) NOT NULL, 
	message TEXT NOT NULL, 
	progress FLOAT NOT NULL, 
	starts INTEGER NOT NULL, 
	created_at FLOAT NOT NULL, 
	finished_at FLOAT, 
	video JSON, 
	model_version VARCHAR(255) NOT NULL, 
	UNIQUE (region, kind, token), 
	UNIQUE (id)
);
INSERT INTO "jobs" VALUES(1,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','us-east-1','FaceDetection','{"region": "us-east-1", "kind": "FaceDetection", "video": {"bucket": "local", "name": "clip.mp4", "version": ""}, "parameters": {}, "job_tag": "", "topic_arn": "arn:aws:sns:us-east-1:000000000000:jobs", "role_arn": "arn:aws:iam::000000000000:role/any"}','token','SUCCEEDED','',1.0,1,1700000000.0,1700000000.0,'{"codec": "h264", "format": "mp4", "duration_ms": 1000, "frame_rate": 25.0, "frame_width": 640, "frame_height": 480, "color_range": ""}','1.4');
CREATE TABLE notices (
	"key" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	job INTEGER NOT NULL, 
	region VARCHAR(32) NOT NULL, 
	topic_arn TEXT NOT NULL, 
	role_arn TEXT NOT NULL, 
	message TEXT NOT NULL, 
	UNIQUE (job), 
	FOREIGN KEY(job) REFERENCES jobs ("key")
);
INSERT INTO "notices" VALUES(1,1,'us-east-1','arn:aws:sns:us-east-1:000000000000:jobs','arn:aws:iam::000000000000:role/any','{"JobId":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","Status":"SUCCEEDED","API":"StartFaceDetection","Timestamp":1700000000000,"Video":{"S3ObjectName":"clip.mp4","S3Bucket":"local"}}');
CREATE INDEX jobs_by_status ON jobs (status, region);
CREATE INDEX jobs_by_time ON jobs (region, created_at, id);
CREATE INDEX jobs_by_end ON jobs (finished_at);
CREATE INDEX items_by_time ON items (job, aggregation, timestamp_ms, "key");
CREATE INDEX items_by_key ON items (job, aggregation, sort_key, confidence DESC, timestamp_ms, "key");
CREATE INDEX notices_by_destination ON notices (region, topic_arn, role_arn, "key");
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('jobs',1);
INSERT INTO "sqlite_sequence" VALUES('items',1);
INSERT INTO "sqlite_sequence" VALUES('notices',1);
COMMIT;
