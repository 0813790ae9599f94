BEGIN TRANSACTION;
CREATE TABLE collections (
	"key" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	region VARCHAR(64) NOT NULL, 
	collection_id VARCHAR(255) NOT NULL, 
	model_version VARCHAR(255) NOT NULL, 
	pack VARCHAR(255) NOT NULL, 
	created_at FLOAT NOT NULL, 
	generation BIGINT NOT NULL, 
	face_count BIGINT NOT NULL, 
	UNIQUE (region, collection_id)
);
INSERT INTO "collections" VALUES(1,'us-east-1','people','1.4','toy',1700000000.0,1,1);
CREATE TABLE faces (
	"key" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	collection INTEGER NOT NULL, 
	face_id VARCHAR(36) NOT NULL, 
	image_id VARCHAR(36) NOT NULL, 
	external_image_id VARCHAR(255), 
	"left" FLOAT NOT NULL, 
	top FLOAT NOT NULL, 
	width FLOAT NOT NULL, 
	height FLOAT NOT NULL, 
	confidence FLOAT NOT NULL, 
	embedding BLOB NOT NULL, 
	UNIQUE (collection, face_id), 
	FOREIGN KEY(collection) REFERENCES collections ("key")
);
INSERT INTO "faces" VALUES(1,1,'2431b5e1-1cc3-42e7-a97a-f13627a25210','11111111-1111-1111-1111-111111111111','eileen',0.1,0.2,0.3,0.4,99.5,X'0000803F000000000000000000000000');
CREATE TABLE people (
	collection INTEGER NOT NULL, 
	person_id VARCHAR(64) NOT NULL, 
	place INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	urls TEXT NOT NULL, 
	gender VARCHAR(16) NOT NULL, 
	PRIMARY KEY (collection, person_id), 
	FOREIGN KEY(collection) REFERENCES collections ("key")
);
INSERT INTO "people" VALUES(1,'eileen',0,'Eileen Collins','["https://example.org/eileen"]','Female');
CREATE INDEX faces_of_image ON faces (collection, image_id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('collections',1);
INSERT INTO "sqlite_sequence" VALUES('faces',1);
COMMIT;
