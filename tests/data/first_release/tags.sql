BEGIN TRANSACTION;
CREATE TABLE tags (
	arn VARCHAR(2048) NOT NULL, 
	"key" VARCHAR(128) NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (arn, "key")
);
INSERT INTO "tags" VALUES('arn:aws:rekognition:us-east-1:000000000000:streamprocessor/cam','site','door');
COMMIT;
