/* Every limit of Holdfast, with its reason. Nothing else in the tree names a number that bounds outside input, a
 * queue, a wait or a size. */
#ifndef HOLDFAST_BASE_LIMITS_H
#define HOLDFAST_BASE_LIMITS_H

#define KIB 1024ULL
#define MIB (1024ULL * KIB)
#define GIB (1024ULL * MIB)

/* Counts and positions in JSON: what every language's number holds exactly. */
#define LIMIT_NUMBER (1ULL << 53)

/* An upload's length, and the items that a batch may be said to have. */
#define LIMIT_UPLOAD_BYTES (16ULL * 1024 * GIB)
#define LIMIT_BATCH_ITEMS  (10 * 1000 * 1000ULL)
/* An upload that nobody went on with is removed: a week, as a late resume has. --upload-expires */
#define LIMIT_UPLOAD_EXPIRES_MS (7ULL * 24 * 3600 * 1000)

/* Address space of a worker: libav with its threads takes 300 MiB of it, a picture of 16,384 by 16,384 1 GiB. */
#define LIMIT_WORKER_MEMORY_BYTES (2 * GIB)

enum {
	/* The wire */
	LIMIT_CONTROL_BYTES = 256 * 1024,     /* a control message: slices of a batch fit, nothing endless does */
	LIMIT_SESSION_ID_CHARS = 200,	      /* the client's name for a take */
	LIMIT_PRINCIPAL_CHARS = 200,	      /* a token's subject */
	LIMIT_TOKEN_CHARS = 1024,	      /* a token: a subject of 200 bytes, escaped and in base64, fits */
	LIMIT_REF_CHARS = 200,		      /* an outside system's name for a recording */
	LIMIT_NAME_CHARS = 200,		      /* a title a person types */
	LIMIT_MIME_CHARS = 200,		      /* "video/webm;codecs=…" */
	LIMIT_EXT_CHARS = 16,		      /* "webm" */
	LIMIT_TRACK_CHARS = 64,		      /* "main", "video", "audio" */
	LIMIT_REASON_CHARS = 200,	      /* why a take was aborted */
	LIMIT_SENTENCE_CHARS = 1000,	      /* an error's sentence as it is kept */
	LIMIT_SHOW_CHARS = 100,		      /* a show's name, which people type into a player */
	LIMIT_TRACKS = 16,		      /* tracks of one recording: two descriptors each */
	LIMIT_PARTS = 4096,		      /* parts of one track: a reload a minute for three days */
	LIMIT_CONNECTIONS = 10240,	      /* sockets at work or idle; each costs about 8 KiB and two descriptors */
	LIMIT_SHOW_ASKS = 64,		      /* starts and stops of one show that wait for storage */
	LIMIT_SEND_QUEUE = 64,		      /* unread replies of one connection, acks folded into one */
	LIMIT_JSON_DEPTH = 32,		      /* nesting of a JSON document */
	LIMIT_HTTP_HEADERS_BYTES = 32 * 1024, /* all headers of one request together; above it: 431 */
	LIMIT_HTTP_BODY_BYTES = 256 * 1024,   /* a JSON body */
	LIMIT_HTTP_HEADER_WAIT_S = 10,	      /* a connection that says nothing is closed */
	LIMIT_HTTP_BODY_WAIT_S = 30,	      /* a request's body of 256 KiB, over the slowest phone link */
	LIMIT_HTTP_KEEP_ALIVE_S = 60,	/* between two requests; above what clients keep, so that they close first */
	LIMIT_HTTP_SEND_WAIT_S = 60,	/* a download that makes no progress is cut: players pause that long at least */
	LIMIT_CLOSE_WAIT_MS = 5000,	/* for the peer to read what is queued and say goodbye */
	LIMIT_LINGER_MS = 2000,		/* after the last answer, for the peer to read it before the socket goes */
	LIMIT_URI_BYTES = 4096,		/* path and query: a session's name of 200 characters may take 2,400 */
	LIMIT_HTTP_HEADER_FIELDS = 128, /* headers of one request, whatever their size */
	LIMIT_LIST_ITEMS = 100,		/* recordings a page of the list */

	/* Uploads over HTTP, and batches */
	LIMIT_UPLOAD_METADATA_BYTES =
		8 * 1024, /* Upload-Metadata: names and types of files, and some words of an application */
	LIMIT_UPLOAD_METADATA_KEYS = 256, /* … of it: each is compared with those before it */
	LIMIT_UPLOAD_PARTS = 256,	  /* partial uploads of a final one: clients make up to 16 of them */
	LIMIT_UPLOAD_JOIN_WAIT_MS =
		20 * 1000, /* a final one is answered when it is whole: proxies give an answer a minute */
	LIMIT_UPLOAD_EXPIRES_MIN_MS = 1000, /* below that no client comes back in time */
	LIMIT_UPLOAD_IDLE_MS =
		3600 * 1000, /* … nor is one removed that somebody was at in this time, whatever the clock says */
	LIMIT_UPLOAD_EXPIRES_DAYS = 3652,  /* ten years: as good as for ever */
	LIMIT_CHECKED_BYTES = 1024 * 1024, /* of a request's, that wait to be put aside: then it is not read from */
	LIMIT_UPLOADS_AT_ONCE = 4096,	   /* requests that bring bytes: each has its place in memory */
	LIMIT_UPLOAD_GATHER_MS =
		20, /* before little of a body is journaled: a fast link brings a large piece in that time */
	LIMIT_UPLOAD_WAIT_S = 60, /* a request's body that brings nothing is cut; what came is kept */
	LIMIT_UPLOAD_DRAIN_BYTES =
		64 * 1024, /* of a body that was refused: read and dropped, which is cheaper than a new connection */
	LIMIT_UPLOAD_TOLD_MS = 1000,		    /* between two interim responses of an upload … */
	LIMIT_UPLOAD_TOLD_BYTES = 16 * 1024 * 1024, /* … unless so much more became durable: its client frees memory */
	LIMIT_BATCH_ID_CHARS = 200,		    /* a client's name for a batch */
	LIMIT_SLICE_ID_CHARS = 200,		    /* … for a slice */
	LIMIT_ITEM_KEY_CHARS = 200,		    /* … for an item */
	LIMIT_SLICE_ITEMS = 100, /* a slice: one transaction, and less than LIMIT_CONTROL_BYTES of sane items */
	LIMIT_ITEM_META_BYTES = 4 * 1024, /* an item's own words, as JSON */
	LIMIT_SLICES_AT_ONCE = 1024,	  /* … of all: 256 MiB, if each is as large as a message may be */
	LIMIT_RATE_BUCKETS = 8192,	  /* principals whose rate is remembered, 1 KiB each; then the oldest go */
	LIMIT_STATUS_BATCH_MS = 500,	  /* between two states of a batch that one who follows is told */
	LIMIT_SLICES_WAITING = 64,	  /* of a connection, sent and not acked: then it is not read from */

	/* Sources that speak Icecast's protocol, and the titles that listeners are told */
	LIMIT_SOURCE_HEAD_BYTES = 8 * 1024, /* of one request: known clients send up to 600 bytes, long titles 4,000 */
	LIMIT_SOURCE_FIELDS = 64,	    /* headers of it: clients send up to 15 */
	LIMIT_SOURCE_USER_CHARS = 64,	    /* it is "source" nearly always */
	LIMIT_SOURCE_PASSWORD_CHARS = 256,  /* what password managers make, and as much again */
	LIMIT_SOURCE_TEXT_BYTES = 512,	    /* name, genre, description …: cut there, a long one harms nobody */
	LIMIT_TITLE_BYTES = 1024,	    /* of the piece that plays, cut there: players show a line */
	LIMIT_SOURCE_SILENT_MS =
		10 * 1000, /* of media: Icecast's source-timeout; then another one may have the mount */
	LIMIT_SOURCE_KEYS_BYTES = 256 * 1024, /* the file of passwords: a thousand shows, and as much again */
	LIMIT_BITRATE_KBPS = 1000 * 1000,     /* a source that claims more errs */
	LIMIT_CHUNK_DIGITS = 8,		      /* of a chunk's size: 4 GiB, clients send some KiB */
	LIMIT_CHUNK_EXTENSION_BYTES = 256,    /* behind a chunk's size: skipped, nobody sends any */
	LIMIT_CHUNK_TRAILER_BYTES = 4 * 1024, /* lines behind the last chunk: skipped likewise */
	LIMIT_ICY_INTERVAL_BYTES = 16000, /* of media between two titles: what Icecast has, a second of 128 kbit/s */
	LIMIT_ICY_BLOCK_BYTES = 255 * 16, /* a title's block without its length: that is one byte, in sixteens */

	/* Listeners of shows */
	LIMIT_SHOWS = 256,		      /* on air, or being asked for: each may keep a ring and what is held */
	LIMIT_SHOWS_ASKED = LIMIT_SHOWS / 2,  /* in memory, where one more is only asked about: the rest is for hosts */
	LIMIT_LISTENERS = 8192,		      /* of all shows: a socket and a descriptor each */
	LIMIT_LISTEN_BURST_BYTES = 64 * 1024, /* at once on connect: 4 s of 128 kbit/s, so that players start */
	LIMIT_LISTEN_QUEUE_BYTES = 512 * 1024,	/* behind what is newest: half a minute of 128 kbit/s */
	LIMIT_LISTEN_STALL_MS = 10 * 1000,	/* with a full queue and no progress: it is dropped */
	LIMIT_LISTEN_SOCKET_BYTES = 128 * 1024, /* of that in the system's hands and not on its way: a burst, twice */
	LIMIT_LISTEN_WAIT_MS = 10 * 1000,	/* for something to begin with: players wait no longer either */
	LIMIT_LISTEN_WRITES_S = 1500,		/* writes a second to all listeners: a thirtieth of a core … */
	LIMIT_LISTEN_ROUND_MS = 1000,		/* … unless that made one of them wait for so long */
	LIMIT_LISTEN_RING_BYTES = 4 * 1024 * 1024, /* kept for a join: a keyframe may be 4 s back at 8 Mbit/s */
	LIMIT_LISTEN_CHUNK_BYTES = 16 * 1024,	  /* what readers share: a second of 128 kbit/s, one piece of a write */
	LIMIT_SHOW_HELD_BYTES = 16 * 1024 * 1024, /* of a host, that storage has no room for yet: 16 s at 8 Mbit/s */

	/* What is on air, pushed to a foreign Icecast */
	LIMIT_RELAY_MOUNT_CHARS = 255,	      /* of --icecast's URL, "{show}" in it */
	LIMIT_RELAY_QUEUE_BYTES = 512 * 1024, /* between loop and thread: half a minute of 128 kbit/s */
	LIMIT_RELAY_CONNECT_MS = 10 * 1000,   /* until it says that it takes the stream */
	LIMIT_RELAY_WAIT_MIN_MS = 1000,	      /* before it is tried again … */
	LIMIT_RELAY_WAIT_MAX_MS = 30 * 1000,  /* … doubled up to this, and the least again once it held as long */
	LIMIT_RELAY_LOOK_MS = 100,	      /* between two looks for more: listeners there hear it seconds later */
	LIMIT_RELAY_SHOWS_MS = 1000,	      /* between two looks for what is on air */

	/* Who may do what */
	LIMIT_TOKEN_ID_CHARS = 22,	      /* 128 random bits in base64url: of a token, of a pairing token */
	LIMIT_TOKEN_KEYS = 2,		      /* at a time: rotation leaves everybody one rotation to get a new token */
	LIMIT_TOKENS = 4096,		      /* tokens remembered, revoked ones too; then the longest expired go */
	LIMIT_TOKENS_BYTES = 8192 * 1024,     /* tokens.json: about 1 KiB for each of them, and as much again */
	LIMIT_TOKEN_CALLS = 256,	      /* changes of them that wait for their sync */
	LIMIT_PAIRINGS = 64,		      /* pairing tokens remembered, used ones too */
	LIMIT_PAIRING_MS = 10 * 60 * 1000,    /* a code on a screen is scanned within that */
	LIMIT_PAIRING_RENEW_MS = 60 * 1000,   /* what is shown is good for at least this long */
	LIMIT_NONCE_CHARS = 64,		      /* 22 do; names one attempt to pair */
	LIMIT_PAIRED_DAYS = 400,	      /* how long a paired phone stays so: it is used again within a year */
	LIMIT_SIGNED_S = 3600,		      /* a signed URL: one sitting */
	LIMIT_ORIGINS = 16,		      /* --allow-origin */
	LIMIT_ORIGIN_CHARS = 270,	      /* "https://", a name of 253 characters, a port */
	LIMIT_CONTROL_CONNS = 16,	      /* at control.sock: people at terminals */
	LIMIT_CONTROL_LINE_BYTES = 16 * 1024, /* one request there */
	LIMIT_CONTROL_WAIT_S = 30,	      /* for the rest of a request, or for an answer to be read */
	LIMIT_STATUS_TAKES = 1000,	      /* recordings that `holdfast status` is told of */

	/* An outside authority, --auth-url */
	LIMIT_AUTHORITY_TOKEN_CHARS = 8 * 1024,	  /* a JWT with many claims; four of them fill a request's headers */
	LIMIT_AUTHORITY_ANSWER_BYTES = 16 * 1024, /* what we read of it takes 600 bytes; the rest is its own */
	LIMIT_AUTHORITY_WAIT_MS =
		5 * 1000,	       /* for its answer, and at most as long for its turn: clients wait for 10 s */
	LIMIT_AUTHORITY_KEEP_S = 3600, /* an answer: for so long a revocation there is not noticed here */
	LIMIT_AUTHORITY_REFUSED_MS = 60 * 1000, /* a refusal: who gets his rights does not wait for long */
	LIMIT_AUTHORITY_KNOWN = 4096,		/* answers in memory, 2 MiB; the rest is in the catalog … */
	LIMIT_AUTHORITY_ROWS = 32 * 1024,	/* … which keeps so many, 10 MiB: principals of an hour */
	LIMIT_AUTHORITY_TRIM = 100,		/* expired ones forgotten with each new one */
	LIMIT_AUTHORITY_QUESTIONS = 512,	/* tokens that wait for their answer, 4 MiB of them */
	LIMIT_AUTHORITY_AT_ONCE = 16,		/* of them being asked: an authority is one small service */
	LIMIT_AUTHORITY_SHARES = 1024,		/* of addresses elsewhere: two that meet in one share it */
	LIMIT_AUTHORITY_SHARE = 64, /* tokens of one address that it does not know, at once: a house's phones … */
	LIMIT_AUTHORITY_SHARE_PER_S = 2,     /* … and so many a second: who guesses tokens is not its client */
	LIMIT_AUTHORITY_LOG_MS = 10 * 1000,  /* its failures get one log line in so long */
	LIMIT_AUTHORITY_SECRET_CHARS = 1024, /* what it knows us by */

	/* TLS and the local network */
	LIMIT_STRANGERS = 1024, /* connections without a grant, or a quarter of all: so many phones are not new */
	LIMIT_HANDSHAKES_A_SECOND = 100, /* of TLS, from addresses where nobody showed a grant: a tenth of a core */
	LIMIT_HANDSHAKES_A_SOURCE = 8,	 /* a second, from one address: a browser that reconnects needs one or two */
	LIMIT_HANDSHAKES_AT_ONCE = 32,	 /* from one address: a browser's six, for some windows and people behind it */
	LIMIT_HANDSHAKE_SOURCES = 1024,	 /* addresses remembered: the people of a large building */
	LIMIT_TLS_BURST_BYTES = 64 * 1024, /* encrypted with one go: what waits behind it stays plaintext, in order */
	LIMIT_TLS_OUT_BYTES = 256 * 1024,  /* ciphertext that waits: a burst, or a long chain of certificates */
	LIMIT_TLS_LOG_MS = 10 * 1000,	   /* failed handshakes get one log line in so long */
	LIMIT_PEM_BYTES = 256 * 1024,	   /* a file of certificates or a key */
	LIMIT_LAN_ADDRESSES = 64,	   /* of this machine: a laptop has five, one with containers dozens */
	LIMIT_LAN_LOOK_MS = 3000,	   /* how old the list of them may be: a phone is waiting for the new one */
	LIMIT_CERT_LOOK_MS =
		10 * 1000,	    /* the operator's files are read again: two small ones, and a renewal can wait */
	LIMIT_CA_DAYS = 3652,	    /* ten years: phones trust it by hand, once */
	LIMIT_LEAF_DAYS = 397,	    /* browsers refuse more of some certificates */
	LIMIT_LEAF_RENEW_DAYS = 30, /* before its end */

	/* Following: what subscribers are told */
	LIMIT_SUBSCRIPTIONS = 32,	  /* recordings that a connection follows by id: for more there is `all` */
	LIMIT_STATUS_QUEUE = 4,		  /* unread messages of a connection above which no status joins them */
	LIMIT_STATUS_BACKLOG = 16 * 1024, /* recordings changed and not told, a MiB; beyond it `all` begins anew */
	LIMIT_STATUS_ROWS = 32,		  /* rows read for a connection at a time: each may be 100 KiB of parts */
	LIMIT_STATUS_TURN = 16,		  /* told to one connection before it is another's turn */
	LIMIT_STATUS_SLICE_MS = 100,	  /* in so long at most so many … */
	LIMIT_STATUS_SLICE = 100,	  /* … to all together: 1,000 a second are a tenth of a core at most */
	LIMIT_STATUS_GROWN = 20, /* … because of byte counts alone: as many as a page shows, not as are recorded */
	LIMIT_STATUS_BYTES_MS = 500,   /* between two byte counts of one recording: what eyes follow */
	LIMIT_STATUS_SERVER_MS = 2000, /* between two states of the server itself */

	/* Timing, in ms where nothing else is said */
	LIMIT_HEARTBEAT_MIN_MS = 1000,	  /* below that, phones lose links that are fine */
	LIMIT_END_SILENCE_MS = 10 * 1000, /* after `end`: no byte for this long is bytes_missing */
	LIMIT_SPACE_CHECK_MS = 1000,	  /* how old a reading of the free space may be */
	LIMIT_LATE_MS = 2000,		  /* a timer later than this: the process itself stood still */
	LIMIT_SHOW_RETRY_FIRST_MS = 1000, /* on air, from a version that failed to the next one; doubled … */
	LIMIT_SHOW_RETRY_MAX_MS =
		60 * 1000,	   /* … up to this: a disk that flickers makes 60 versions an hour, not 3,600 */
	LIMIT_STOP_MS = 30 * 1000, /* a clean stop takes no longer, then the rest is left to recovery */

	/* Memory */
	LIMIT_BLOCK_BYTES = 4096,		/* one block of buffered media: the page and O_DIRECT's alignment */
	LIMIT_INPUT_BYTES = 64 * 1024,		/* media is taken in pieces of at most this */
	LIMIT_INPUT_RUN_BYTES = 640 * 1024,	/* read from one connection before it is another's turn */
	LIMIT_INPUT_AT_ONCE_BYTES = 128 * 1024, /* … of that with one call: it stays in the processor's cache */
	LIMIT_READ_BYTES = 256 * 1024,		/* one piece read for a download */
	LIMIT_READERS = 256,			/* downloads at work; more wait: each holds one piece */

	/* Storage */
	LIMIT_SEGMENT_BYTES = 64 * 1024 * 1024,	    /* one journal segment … */
	LIMIT_SEGMENT_MIN_BYTES = 16 * 1024 * 1024, /* … of a small journal: twice a batch */
	LIMIT_SEGMENTS_MIN = 4,			    /* one written, one being checkpointed, two to breathe */
	LIMIT_SEGMENTS_MAX = 1024,
	LIMIT_FILL_QUIET_MS =
		250, /* the disk belongs to recordings: the journal grows when they wrote nothing so long … */
	LIMIT_FILL_PACE_MS = 50, /* … and by one piece in so many otherwise, if it has LIMIT_SEGMENTS_MIN free */
	LIMIT_BATCH_BYTES = 8 * 1024 * 1024, /* media journaled with one sync: bounds the latency of a burst */
	LIMIT_BATCH_RECORDS = 16384,
	LIMIT_APPEND_BYTES = 1024 * 1024,	 /* one append record */
	LIMIT_EXTENT_BYTES = 512 * 1024,	 /* gathered by one track: the extent path, at half the journal's CPU */
	LIMIT_PIECE_BYTES = 1024 * 1024,	 /* what write-behind aims to write to a spool at once */
	LIMIT_DIRECT_BYTES = 64 * 1024,		 /* spool writes below this go through the page cache */
	LIMIT_RESERVE_FIRST = 64 * 1024,	 /* first fallocate of a spool; doubled each time … */
	LIMIT_RESERVE_STEP = 16 * 1024 * 1024,	 /* … up to this */
	LIMIT_RESERVE_BYTES = 256 * 1024 * 1024, /* free space kept: the smaller of this and 5 % */
	LIMIT_RESERVE_PERCENT = 5,
	LIMIT_PATH_BYTES = 256,		 /* a path below the data directory, of our own names only, with its NUL */
	LIMIT_FAILED_DIRS = 64,		 /* directories remembered for a failed sync; after that none syncs any more */
	LIMIT_SPOOL_FILES = 1024,	 /* entries read from one directory at a time */
	LIMIT_SPOOL_WRITES = 6,		 /* spool writes under way: more starve the journal's commits */
	LIMIT_CHECKPOINT_TAKES = 16384,	 /* takes synced with one task: all that connections can hold */
	LIMIT_CHECKPOINT_WRITE_OUT = 64, /* files whose pages are on their way to the disk at a time, before that */
	LIMIT_CHECKPOINT_ALONE = 7,	 /* up to so many takes are synced file by file, more of them together */
	LIMIT_CHECKPOINT_WRITES = 64,	 /* spool writes that a checkpoint has under way: paced, recording goes on */
	LIMIT_CHECKPOINT_MS = 60 * 1000, /* what is not checkpointed is not older than about this */
	LIMIT_FINISHED_TAKES = 2048,	 /* finished takes in memory, waiting for a checkpoint */
	LIMIT_MANIFEST_BYTES = 1024 * 1024, /* recording.json */
	LIMIT_CATALOG_CACHE_KIB = 2048,	    /* SQLite's pages in memory */
	LIMIT_CATALOG_WAL_PAGES = 1000,	    /* its WAL is moved into the database above this */

	/* Work after the take */
	LIMIT_ATTEMPTS = 3,		     /* leases within … */
	LIMIT_ATTEMPTS_MS = 10 * 60 * 1000,  /* … this window; then it has failed for good */
	LIMIT_LEASE_MS = 30 * 1000,	     /* a worker silent for so long has lost its job */
	LIMIT_WORKER_ALIVE_MS = 2000,	     /* it gives a sign of life so often */
	LIMIT_QUEUE_WAIT_MS = 5 * 60 * 1000, /* queued for so long with no worker alive: readers are told */
	LIMIT_NO_ROOM_MS = 15 * 1000,	     /* no file is begun for so long when one found no room */
	LIMIT_RECOVERING_S = 5,		     /* Retry-After while a job is tried again */
	LIMIT_NOT_YET_S = 2,		     /* Retry-After while all goes well */
	LIMIT_WORKERS = 64,		     /* --workers */
	LIMIT_WORKER_START_MS = 20 * 1000,   /* from its start to its first word, on a machine that swaps */
	LIMIT_WORKER_PING_MS = 5000,	     /* an idle one that does not answer for so long hangs */
	LIMIT_WORKER_FRESH_MS = 500,	     /* an answer so old still shows that it lives */
	LIMIT_WORKER_EXIT_MS = 5000,	     /* between its last word and its end */
	LIMIT_RESPAWN_FIRST_MS = 500,	     /* before the next process when one came to nothing; doubled … */
	LIMIT_RESPAWN_MAX_MS = 60 * 1000,    /* … up to this: a disk that comes back is noticed within a minute */
	LIMIT_SWEEP_MS = 60 * 1000,	     /* between two looks at the queue when nothing happens … */
	LIMIT_LOOK_MS = 2000,		     /* … and when something did: its figures are for eyes */
	LIMIT_JOB_MS = 10 * 60 * 1000,	     /* one attempt may take so long, and longer by its size: */
	LIMIT_JOB_BYTES_A_MS = 1024,	     /* 1 MB/s is a slow disk that others use too */
	LIMIT_OUTPUT_TIMES = 2,		     /* an output is at most so many times what came in (PCM to WAV: 1) … */
	LIMIT_OUTPUT_SPARE_BYTES = 64 * 1024 * 1024, /* … and this: headers, cues, pictures */
	LIMIT_WARNINGS_BYTES =
		16 * 1024, /* of a worker, as JSON; more is not heard. One for each empty track comes on top */
	LIMIT_RETRY_FIRST_MS = 1000,	       /* before the second attempt; then four times as long */
	LIMIT_NOTIFY_ATTEMPTS = 8,	       /* of one event, over about a day, then it is parked … */
	LIMIT_NOTIFY_FIRST_MS = 5 * 1000,      /* … with waits of 5 s, 30 s, 3 min, 18 min … */
	LIMIT_NOTIFY_MAX_MS = 8 * 3600 * 1000, /* … at most */
	LIMIT_FETCHES = 4,		       /* at a time */
	LIMIT_FETCH_WAIT_FIRST_MS = 1000, /* before the second attempt, and eight times that before the third … */
	LIMIT_FETCH_WAIT_MAX_MS = 3 * 60 * 1000, /* … or what the source asks for, but no more */
	LIMIT_NOTIFIES = 4,			 /* at a time */
	LIMIT_URL_CHARS = 2000,
	LIMIT_PUSHES = 2,		  /* at a time: the uplink is one, and what is recorded comes first */
	LIMIT_PUSH_RETRY_FIRST_MS = 2000, /* before a push is tried again; then three times as long, for ever … */
	LIMIT_PUSH_RETRY_MAX_MS = 5 * 60 * 1000, /* … but at most this: a bucket that is back is noticed soon */
	LIMIT_PUSH_HASH_BYTES = 8 * 1024 * 1024, /* hashed with one task: others wait for the lane, too */
	LIMIT_PUSH_SWEEP_MS =
		15 * 60 * 1000, /* until an upload that may just be beginning is looked for, and between tries */
	LIMIT_PUSH_QUEUE = 256, /* older recordings queued with one transaction: who records waits for the same lane */
	LIMIT_EVENT_TYPE_CHARS = 40,	     /* "recording.interrupted" */
	LIMIT_EVENTS_ALIVE_MS = 15 * 1000,   /* a stream that says nothing for longer is taken for dead by proxies */
	LIMIT_EVENTS_PAGE = 100,	     /* read from the outbox at a time */
	LIMIT_EVENT_STREAMS = 64,	     /* clients that follow /api/events */
	LIMIT_EVENTS_DAYS = 30,		     /* kept in the outbox, but for the newest of each recording */
	LIMIT_EVENTS_TRIM = 1000,	     /* forgotten with one look: who records waits for the same lane */
	LIMIT_RETENTION_FIRST_MS = 5 * 1000, /* after the start: who is reconnecting goes first */
	LIMIT_RETENTION_MS = 30 * 1000,	     /* between two looks for what may go … */
	LIMIT_RETENTION_ITEMS = 24,	     /* … of which so many go with one: the disk is for what comes in */

	/* Media: what a worker takes in, and what it makes of it */
	LIMIT_MEDIA_STREAMS = 32,		   /* streams of one part, and of a finished file */
	LIMIT_MEDIA_PROBE_BYTES = 4 * 1024 * 1024, /* read at most to learn what the streams are … */
	LIMIT_MEDIA_PROBE_MS = 5000,		   /* … and so much of their time */
	LIMIT_MEDIA_SNIFF_BYTES = 64 * 1024,	   /* the first bytes, that say which container it is */
	LIMIT_MEDIA_READ_BYTES =
		64 * 1024, /* libav's buffer for reading: what is larger goes into its packet directly */
	LIMIT_MEDIA_WRITE_BYTES = 512 * 1024,	     /* … and for writing: one call for many packets */
	LIMIT_MEDIA_ALLOC_BYTES = 512 * 1024 * 1024, /* one allocation of libav: the index of ten hours fits */
	LIMIT_MEDIA_ERRORS = 64, /* broken places in a row that are skipped; then the rest is given up */
	LIMIT_MEDIA_GROWTH_BYTES = 64 * 1024 * 1024, /* a copy is never larger than twice its source and this */
	LIMIT_MEDIA_BACK_MS = 1000,		     /* time that goes back by more is a recorder that began anew */
	LIMIT_MEDIA_GAP_MS = 24 * 3600 * 1000,	     /* time that leaps by more is a lie: nobody was silent for a day */
	LIMIT_MEDIA_APART_MS = 10 * 1000,	     /* tracks that begin so near to each other share a clock */
	LIMIT_MEDIA_MOOF_BYTES = 16 * 1024 * 1024,   /* the head of one fragment */
	LIMIT_MEDIA_TAIL_BYTES = 1024 * 1024,	     /* the last frame of FLAC and what follows it */
	LIMIT_MEDIA_PIXELS = 64 * 1024 * 1024,	     /* of a picture that is decoded: 8K twice */
	LIMIT_MEDIA_ERROR_CHARS = 256,		     /* of libav's words that are kept */
	LIMIT_THUMBNAIL_WIDTH = 480,
	LIMIT_THUMBNAIL_HEIGHT = 2048, /* a strip of one pixel's width is no picture */
	LIMIT_THUMBNAIL_PACKETS = 600, /* looked at for one keyframe that decodes */
	LIMIT_WAVEFORM_PEAKS = 2000,   /* aimed at, but … */
	LIMIT_WAVEFORM_RATE = 20,      /* … not more in a second; and at least one */
	LIMIT_WAVEFORM_SAMPLES_S =
		96 * 1000, /* two channels of 48 kHz: what more there is a second takes longer to decode */
	LIMIT_WAVEFORM_WHOLE_S = 20 * 60, /* of sound decoded: of longer takes so much of each peak's time, evenly … */
	LIMIT_WAVEFORM_PACKETS = 3,	  /* … but so many packets of it at least */
	LIMIT_WAVEFORM_SECONDS = 400 * 3600, /* of a take that is drawn at all: 6 MB of text */

	/* On air */
	LIMIT_LIVE_HEADER_BYTES =
		1024 * 1024,		    /* what goes before a join: codec data, and a cover picture in the tags */
	LIMIT_LIVE_STREAMS = 16,	    /* of one part: beyond what any encoder sends */
	LIMIT_LIVE_SNIFF_BYTES = 16 * 1024, /* noise before the first frame: a source that begins inside of one */
	LIMIT_LIVE_JOIN_BYTES = 2048,	    /* joins nearer to each other are one: 256 of them in a queue of 512 KiB */
	LIMIT_LIVE_ELEMENT_BYTES =
		64 * 1024 * 1024, /* one box or block: a fragment of half a minute at 16 Mbit/s; beyond it is noise */

	/* Workers as processes: what one of them may take and say */
	LIMIT_WORKER_EVENT_BYTES = 64 * 1024, /* one message: 16 warnings of a sentence each fit … */
	LIMIT_WARNINGS = 16,		      /* … and what is wrong with a file has not more names */
	LIMIT_CODE_CHARS = 32,		      /* a warning's code */
	LIMIT_WORKER_EVENTS_S = 32,	      /* messages a second, and twice that at once: one every 250 ms is usual */
	LIMIT_WORKER_EVENTS_TURN = 16,	      /* messages of one worker before it is others' turn */
	LIMIT_WORKER_JOB_BYTES = 8 << 20,     /* a job's description: 16 tracks of 4,096 parts are 1 MiB */
	LIMIT_WORKER_HASH_BYTES = 1 << 20,    /* read at once for a hash */
	LIMIT_WORKER_SAID_BYTES = 1 << 20,    /* on its standard error: libav complains once a packet, or it is mad */
	LIMIT_WORKER_TAIL_BYTES = 200,	      /* the end of that, as part of a failure's sentence */
	LIMIT_WORKER_FILES = 32,	      /* descriptors: 16 tracks, three files, and the few it has */
	LIMIT_PROCESS_START_MS = 30 * 1000,   /* to its first word; who waits for it loses patience before */
	LIMIT_PROCESS_EXIT_MS = 5000,	      /* it said its last word, or closed the socket, and is still there */
	LIMIT_MEDIA_DAYS = 400,		      /* a medium that claims to last longer lies */
	LIMIT_FETCH_ALLOW = 64,		      /* ranges of --fetch-allow */
	LIMIT_FETCH_REDIRECTS = 5,	      /* storage behind a gateway needs two */
	LIMIT_FETCH_CONNECT_MS = 15 * 1000,   /* name, address and TLS */
	LIMIT_FETCH_STALL_S = 30,	      /* for the first byte, and while it sends … */
	LIMIT_FETCH_SLOW_BYTES = 512,	      /* … fewer bytes a second than this: a phone call's are 1,600 */
	LIMIT_FETCH_HEADERS_BYTES = 64 * 1024, /* of all answers of one request together */
	LIMIT_FETCH_RESUMES = 50,	       /* drops behind which an attempt goes on, because bytes came before */
	LIMIT_FETCH_RESUME_MS = 500,	       /* before that */
	LIMIT_FETCH_MS = 3600 * 1000,	       /* an attempt: --fetch-timeout's default */
	LIMIT_VALIDATOR_CHARS = 300,	       /* an ETag; what is longer is none */
	LIMIT_CREDENTIALS = 64,		       /* hosts of --fetch-credentials */
	LIMIT_CREDENTIALS_BYTES = 64 * 1024,
	LIMIT_NOTIFY_WAIT_MS = 15 * 1000,      /* for the webhook's answer */
	LIMIT_NOTIFY_ANSWER_BYTES = 64 * 1024, /* of it read, so that its connection serves again */
	LIMIT_SECRET_MIN_BYTES = 16,	       /* a webhook's secret: what can't be guessed … */
	LIMIT_SECRET_BYTES = 128,	       /* … and no whole file */

	/* Pushing to a bucket; what S3 allows is AWS's, the narrowest of those that are in use */
	LIMIT_PUSH_PART_BYTES = 16 * 1024 * 1024,    /* a part: sent again whole when its connection drops … */
	LIMIT_PUSH_PART_MIN_BYTES = 5 * 1024 * 1024, /* … and S3's own lowest, but for the last one */
	LIMIT_PUSH_PARTS = 10000,		     /* S3's own: larger files get larger parts */
	LIMIT_PUSH_EXPECT_BYTES =
		1024 * 1024,		/* a body so large asks first; not every server answers, then 1 s is lost */
	LIMIT_PUSH_ETAG_CHARS = 128,	/* 32 hexadecimal digits, a count and quotes are usual */
	LIMIT_PUSH_UPLOAD_CHARS = 1024, /* an upload's id: AWS's have about 130 */
	LIMIT_PUSH_LIST_PARTS = 1000,	/* a page of a list of parts: S3's own … */
	LIMIT_PUSH_LIST_UPLOADS = 500,	/* … and of uploads, whose names are longer */
	LIMIT_PUSH_ANSWER_BYTES = 4 * 1024 * 1024, /* 500 names of 1,024 characters, each escaped, and their ids */
	LIMIT_PUSH_ERROR_BYTES = 64 * 1024,	   /* of an answer that is not expected to hold more than a few lines */
	LIMIT_PUSH_HEADERS_BYTES = 64 * 1024,	   /* of all answers of one request together */
	LIMIT_PUSH_CONNECT_MS = 15 * 1000,	   /* name, address and TLS */
	LIMIT_PUSH_WAIT_MS = 60 * 1000,		   /* for a whole answer to a request that sends no media … */
	LIMIT_PUSH_COMPLETE_MS = 10 * 60 * 1000,   /* … but completing: the bucket may copy all parts first */
	LIMIT_PUSH_STALL_S = 60,		   /* while media is sent, or its answer awaited … */
	LIMIT_PUSH_SLOW_BYTES = 512,		   /* … fewer bytes a second than this */
	LIMIT_PUSH_SKEW_S = 5 * 60,	 /* clocks so far apart explain a refusal: S3 itself allows 15 minutes */
	LIMIT_S3_KEY_BYTES = 1024,	 /* an object's name: S3's own */
	LIMIT_S3_BUCKET_CHARS = 63,	 /* S3's own */
	LIMIT_S3_REGION_CHARS = 63,	 /* "ap-southeast-2" */
	LIMIT_S3_ACCESS_CHARS = 128,	 /* an access key: AWS's, which have 20 now */
	LIMIT_S3_SECRET_CHARS = 256,	 /* a secret key: 40 are usual */
	LIMIT_S3_TOKEN_CHARS = 8 * 1024, /* a session's token: AWS names no limit, 2 KiB were seen */
	LIMIT_S3_XML_DEPTH = 8,		 /* elements in elements: lists of uploads have four */
	LIMIT_S3_XML_NAME_CHARS = 48,	 /* "CompleteMultipartUploadResult" */
	LIMIT_S3_CODE_CHARS = 64,	 /* an error's name */

	/* Settings: what an option may be; beyond it a typing error is likelier than a wish */
	LIMIT_CONFIG_BYTES = 64 * 1024, /* the ini file */
	LIMIT_FETCH_MIN_MS = 100,	/* tests; a minute is short for a call's recording */
	LIMIT_FETCH_MAX_MS = 7 * 24 * 3600 * 1000,
	LIMIT_GRACE_MIN_MS = 100, /* below that, a link that flickers seals its take */
	LIMIT_GRACE_MAX_MS = 24 * 3600 * 1000,
	LIMIT_RATE_MAX = 1000 * 1000,		 /* new recordings a second: more than any disk takes */
	LIMIT_HEARTBEAT_MAX_MS = 10 * 60 * 1000, /* a dead link is noticed within two of them */
	LIMIT_LATE_RESUME_DAYS = 365,
	LIMIT_RETAIN_DAYS = 36525, /* a hundred years: beyond them is "forever" */
	LIMIT_LEASE_MIN_MS =
		LIMIT_WORKER_ALIVE_MS * 2,   /* below that, a worker loses its job between two signs of life */
	LIMIT_LEASE_MAX_MS = 60 * 60 * 1000, /* that long nobody would notice one that hangs */
	LIMIT_QUEUE_WAIT_MAX_MS = 24 * 3600 * 1000,
	LIMIT_MEMORY_MIN_BYTES = 8 * 1024 * 1024, /* one batch of the journal */
};

#endif
