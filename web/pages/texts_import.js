// What the import page says; texts.js passes it on.

export const imports = {
	page: {
		skip: 'Skip to the list',
		back: 'All recordings',
		heading: 'Import',
		lead: 'Bring files and whole folders to this server, or have it fetch them from the web. Each becomes a recording.',
		filesHeading: 'Files',
		drop: 'Drop files or folders anywhere on this page, or choose them:',
		chooseFiles: 'Choose files',
		chooseFolder: 'Choose a folder',
		dropHere: 'Let go to import',
		urlsHeading: 'Addresses',
		urlsHint: 'One a line. The server fetches them by itself; this page need not stay open for that.',
		urlsGo: 'Fetch them',
		overviewHeading: 'This import',
		listHeading: 'Its items',
		again: 'Try all failed ones again',
		another: 'Begin another import',
		filterLabel: 'Which items are shown',
		earlier: 'Earlier ones',
		earlierHeading: 'Imports',
		newer: 'Before',
		older: 'Next',
		tryNow: 'Try now',
		lockedTitle: 'This page needs a key',
		token: 'Token',
		tokenHint: 'Made on the server with: holdfast token mint. It takes the place of the one this browser has.',
		open: 'Open',
	},

	batchName: (when) => `Import of ${when}`,
	tab: (done, all) => (all === 0 ? 'Import – Holdfast' : `${done}/${all} Import – Holdfast`),

	filter: { all: 'All', working: 'Under way', missing: 'File needed', failed: 'Failed', ready: 'Ready' },
	filterOf: (word, n) => `${word} ${n.toLocaleString('en-GB')}`,
	pager: (from, to, all) => `${from.toLocaleString('en-GB')} to ${to.toLocaleString('en-GB')} of ${all.toLocaleString('en-GB')}`,
	none: { all: 'Nothing yet.', working: 'Nothing is under way.', missing: 'No file is needed.', failed: 'Nothing has failed.', ready: 'Nothing is ready yet.' },

	state: {
		adding: 'Being announced', turn: 'Waits for its turn', uploading: 'Uploading', held: 'Upload waits', missing: 'File needed', fetching: 'Being fetched',
		queued: 'Uploaded', fetched: 'Fetched', processing: 'Being finished', ready: 'Ready', failed: 'Failed', dropped: 'Removed', refused: 'Not taken', stopped: 'Not sent',
	},
	why: {
		missingNothing: 'Drop the file here again, and it is uploaded.',
		missing: (safe) => `${safe} of it are on the server. Drop the file here again, and it goes on from there.`,
		queued: 'All of it is on the server, and waits to be finished.',
		pictures: 'Its picture and waveform are being made.',
		deleted: 'It was deleted on the server, or its time was over. Import it again with another import.',
		aborted: 'It was given up, and nothing of it arrived.',
	},
	amount: (safe, all) => `${safe} of ${all}`,
	progressOf: (name) => `How much of ${name} is on the server`,

	/* What is in the way of one file, by code; all others in the server’s own words. */
	problem: {
		network: 'The link to the server is lost. It goes on by itself.',
		timeout: 'The server does not answer. It is asked again.',
		storage_full: 'The server’s storage is full. It goes on when there is room.',
		file_changed: 'The file was changed or moved after it was chosen. Choose it again.',
		file_unreadable: 'The browser cannot read the file any more. Choose it again.',
		quota_exceeded: 'The file is larger than this browser’s token allows.',
		message_too_large: 'The file is larger than the server takes.',
		limit_exceeded: 'The server has reached its limit for now. Try again later.',
		item_differs: 'This import has another item under the same name.',
		url_refused: 'The server does not fetch from this address.',
		deleted: 'It was deleted on the server, or its time was over. Import it again with another import.',
		not_found: 'The server has nothing of it any more. Import it again with another import.',
		length_mismatch: 'The server waits for a file of another size under this name.',
		forbidden_scope: 'The token of this browser does not allow importing.',
		unauthorized: 'The server does not know this browser any more.',
		token_expired: 'The token of this browser has expired.',
		token_revoked: 'The token of this browser was revoked.',
		rate_limited: 'There were too many new items at once. Try again later.',
		sealed: 'The server has it finished already, with other bytes.',
	},

	/* Of all of it. */
	total: (ready, all) => (all === 1 && ready === 1 ? 'It is ready.' : ready === all ? `All ${all.toLocaleString('en-GB')} are ready.`
		: `${ready.toLocaleString('en-GB')} of ${all.toLocaleString('en-GB')} ready`),
	parts: {
		working: (n) => `${n.toLocaleString('en-GB')} under way`,
		missing: (n) => (n === 1 ? '1 file needed' : `${n.toLocaleString('en-GB')} files needed`),
		failed: (n) => `${n.toLocaleString('en-GB')} failed`,
	},
	bytes: (safe, all) => `${safe} of ${all} are on the server’s disk.`,
	bar: (parts) => parts.join(', '),
	may: {
		stay: 'Leave this page open until all files are uploaded. If it is closed before, drop the same files here again: each goes on where it was.',
		leave: 'Everything is on the server or is being fetched by it. You may close this page.',
	},

	notice: {
		missing: (n) => (n === 1 ? '1 file is not all here yet. Drop the same file on this page again, and it goes on where it was.'
			: `${n.toLocaleString('en-GB')} files are not all here yet. Drop the same files or folders on this page again: each goes on where it was, and nothing is sent twice.`),
		full: 'The server’s storage is full. Uploads wait, and go on by themselves when there is room.',
		slow: 'The server takes only so many new items at a time. The rest follows by itself.',
		away: 'The server cannot be reached. What has arrived is safe; the rest goes on by itself when the server is back.',
		awayIn: (s) => `Next attempt in ${s} s.`,
		awayNow: 'Trying now.',
		stopped: (why) => `The server ended the connection: ${why}`,
		gone: 'This server has no such import, or it is somebody else’s. Drop files to begin a new one.',
		blind: 'The token of this browser allows importing, and not looking at what became of it.',
		listFailed: (why) => `The list could not be read: ${why}`,
		reading: 'Looking at what was dropped',
		loading: 'Loading the list',
	},

	/* What became of a drop. */
	added: (n) => (n === 1 ? '1 item was added.' : `${n.toLocaleString('en-GB')} items were added.`),
	goesOn: (n) => (n === 1 ? '1 file goes on where it was.' : `${n.toLocaleString('en-GB')} files go on where they were.`),
	known: (n) => (n === 1 ? '1 was here already.' : `${n.toLocaleString('en-GB')} were here already.`),
	empty: (n, first) => (n === 1 ? `${first} is empty and was left out.` : `${n.toLocaleString('en-GB')} files are empty and were left out.`),
	unread: (n, first) => (n === 1 ? `${first} could not be read.` : `${n.toLocaleString('en-GB')} files or folders could not be read.`),
	nothing: 'There was nothing to import in it.',
	badUrls: (n) => (n === 1 ? '1 line is no address that can be fetched, and stays in the box:' : `${n.toLocaleString('en-GB')} lines are no addresses that can be fetched, and stay in the box:`),
	badUrl: (line, why) => `Line ${line}: ${why}`,
	badMore: (n) => `… and ${n.toLocaleString('en-GB')} more`,
	badWhy: {
		partial: 'an address begins with https://', scheme: 'only https:// and http:// can be fetched', broken: 'this is no address', long: 'this is too long for an address',
	},

	tryAgain: 'Try again',
	tryAgainOf: (name) => `Try again: ${name}`,
	tryFailed: (why) => `Not tried again: ${why}`,
	play: 'Play',
	playOf: (name) => `Play ${name}`,
	fromWeb: (host) => `from ${host}`,

	earlierOf: (name, ready, all) => `${name}: ${ready.toLocaleString('en-GB')} of ${all.toLocaleString('en-GB')} ready`,

	locked: {
		unauthorized: 'Importing needs no token only on the machine that Holdfast runs on, at its address http://localhost. From elsewhere it needs one.',
		token_expired: 'The token of this browser has expired.',
		token_revoked: 'The token of this browser was revoked.',
		forbidden_scope: 'The token of this browser does not allow importing.',
	},

	say: {
		failed: (name, why) => `${name} failed. ${why}`,
		many: (n) => `${n.toLocaleString('en-GB')} items failed.`,
		share: (ready, all) => `${ready.toLocaleString('en-GB')} of ${all.toLocaleString('en-GB')} are ready.`,
		uploaded: 'All files are uploaded. You may close this page.',
		done: (ready, failed) => (failed === 0 ? `All ${ready.toLocaleString('en-GB')} are ready.` : `Finished: ${ready.toLocaleString('en-GB')} are ready, ${failed.toLocaleString('en-GB')} failed.`),
		lost: 'The connection to the server is lost.',
		back: 'Connected to the server again.',
	},
};
