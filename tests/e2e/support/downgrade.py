"""Makes of a data directory's catalog what the first version wrote: downgrade.py CATALOG.DB. The reverse of the later migrations."""
import sqlite3
import sys

RECORDINGS = ('source_url on_demand validator original_removed media_revision media_as_is media_thumbnail media_waveform media_bytes '
	'media_duration media_mime media_ext published_at show version show_first show_shift upload upload_length '
	'upload_metadata upload_parts batch batch_key item_meta item_content upload_concat')

SQL = '''
BEGIN;
DROP TRIGGER batch_item_new; DROP TRIGGER batch_item_moved; DROP TABLE batches; DROP TABLE batch_counts; DROP TABLE batch_errors; DROP TABLE authorities;
DROP INDEX recordings_batch; DROP INDEX recordings_batch_id; DROP INDEX recordings_batch_phase; DROP INDEX recordings_uploads; DROP INDEX recordings_finals;
ALTER TABLE events DROP COLUMN batch; ALTER TABLE events DROP COLUMN batch_total; ALTER TABLE events DROP COLUMN batch_failed;
DROP INDEX recordings_show; DROP TABLE shows; DROP TABLE push_parts; DROP TABLE pushes; DROP TABLE push_sweeps;
DROP INDEX recordings_published; DROP INDEX recordings_originals; DROP INDEX jobs_state; DROP INDEX jobs_queued;
DROP INDEX events_principal; DROP INDEX events_old;
ALTER TABLE events DROP COLUMN principal; ALTER TABLE events DROP COLUMN newest;
ALTER TABLE jobs RENAME TO new_jobs;
CREATE TABLE jobs (id INTEGER PRIMARY KEY, recording BLOB NOT NULL REFERENCES recordings (id) ON DELETE CASCADE,
 kind TEXT NOT NULL, revision INTEGER NOT NULL, state TEXT NOT NULL, epoch INTEGER NOT NULL DEFAULT 0,
 lease_until INTEGER NOT NULL DEFAULT 0, attempt INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL,
 started_at INTEGER, last_error TEXT, UNIQUE (recording, kind, revision)) STRICT;
INSERT INTO jobs (id, recording, kind, revision, state, epoch, created_at)
 SELECT id, recording, kind, revision, state, epoch, created_at FROM new_jobs WHERE kind = 'finalize';
DROP TABLE new_jobs;
''' + ''.join(f'ALTER TABLE recordings DROP COLUMN {name};' for name in RECORDINGS.split()) + '''
PRAGMA user_version = 1;
COMMIT;
'''

db = sqlite3.connect(sys.argv[1])
assert db.execute('PRAGMA user_version').fetchone() == (7,), 'the catalog has gone on: write what takes back the later versions'
db.executescript(SQL)
assert db.execute('SELECT count(*) FROM jobs').fetchone()[0] > 0
db.close()
