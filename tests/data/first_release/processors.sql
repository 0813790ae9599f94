BEGIN TRANSACTION;
CREATE TABLE processors (
	region VARCHAR(32) NOT NULL, 
	name VARCHAR(128) NOT NULL, 
	spec JSON NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	desired VARCHAR(16) NOT NULL, 
	message TEXT NOT NULL, 
	created_at FLOAT NOT NULL, 
	updated_at FLOAT NOT NULL, 
	start_at VARCHAR(16) NOT NULL, 
	started_at FLOAT NOT NULL, 
	checkpoint VARCHAR(128), 
	PRIMARY KEY (region, name)
);
INSERT INTO "processors" VALUES('us-east-1','cam','{"region": "us-east-1", "name": "cam", "video_stream_arn": "arn:aws:kinesisvideo:us-east-1:000000000000:stream/cam/1700000000000", "data_stream_arn": "arn:aws:kinesis:us-east-1:000000000000:stream/faces", "collection_id": "people", "face_match_threshold": 80.0, "role_arn": "arn:aws:iam::000000000000:role/any", "regions_of_interest": "[]", "notification_topic_arn": "", "kms_key_id": "", "data_sharing_opt_in": false}','STOPPED','STOPPED','',1700000000.0,1700000001.0,'now',0.0,'91343852333181432392682062602723634920273409157');
COMMIT;
