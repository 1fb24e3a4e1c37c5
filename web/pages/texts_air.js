// What the record page says of a show, and all that the listening page says; texts.js passes it on.

export const air = {
	heading: (show) => `On air: ${show}`,
	badName: 'This address names no show. A show’s name is made of letters, digits, “-”, “_” and “.”, as in /record?show=morning.',
	go: 'Go on air',
	goAgain: 'Go on air again',
	end: 'End the show',
	takeHeading: 'This show',
	what: 'What to broadcast',
	preview: 'What is being broadcast',
	title: 'Title',
	captured: 'Captured here',
	safe: 'Recorded on the server',
	share: 'Share of it that is recorded on the server',
	listenPage: 'What listeners see',
	elsewhere: 'Another tab of this browser is on air with this show. Go on there.',

	badge: { air: 'On air', going: 'Going on air', lost: 'Link lost', ending: 'Ending', off: 'Off air', failed: 'On air, not recorded' },
	listeners: (n) => (n === 1 ? '1 listener' : `${n} listeners`),

	/* Before the show. */
	before: {
		off: 'Nobody is on air. You are as soon as microphone or camera are allowed, and everything is recorded from then on.',
		press: (button) => `Nobody is on air. Press ${button}, and you are; everything is recorded from then on.`,
		mine: 'This show waits for you: it goes on where it was.',
		live: (who, since) => `${who} is on air with this show since ${since}. If you go on air, this server decides whether you take over.`,
		waiting: (who, left) => `${who} is on air with this show, and the link is lost: the show waits ${left} more. If you go on air, this server decides whether you take over.`,
		local: 'Somebody at this server',
		source: 'A studio’s program',
	},

	/* While it lasts. */
	link: {
		going: 'Connecting to the server. What you say is kept, and is broadcast when the link is there.',
		air: (version) => `On air, and recorded as version ${version}`,
		failed: 'On air. It is not recorded.',
		lost: (left) => `The link to the server is lost. The show waits ${left} for you; what you say meanwhile is kept, and broadcast then.`,
		lostSoon: 'The link to the server is lost. The show may go off air at any moment, and goes on when the link is back; what you say meanwhile is kept.',
		rest: 'The rest is being sent; then the show is off air.',
		restLost: (left) => `The link to the server is lost. The show ends when the rest has arrived, or by itself in ${left}.`,
		restLostLate: 'The link to the server is lost, and the show is off air by now. The rest is recorded when the link is back.',
		restFailed: 'The show is being ended.',
		saved: (version) => `Off air. Version ${version} is saved: the server has all of it.`,
		savedPlain: 'Off air. The server has all of it.',
		off: 'Off air',
	},
	seconds: (n) => `${n} s`,

	alarm: (why) => `The show is not recorded: ${why} The broadcast goes on, and listeners notice nothing. Free some space on the server; the recording then goes on by itself, as the next version.`,
	again: (version, amount) => `It is recorded again, as version ${version}. ${amount} before that were broadcast, and are in no recording.`,
	againWhole: (version) => `It is recorded again, as version ${version}. Nothing of it is missing.`,

	problem: {
		show_on_air: 'Somebody else is on air with this show, and this server lets nobody take over. You are not on air.',
		show_stopped: 'The show was stopped while you were going on air. You are not on air.',
		show_ended: 'The show was ended from elsewhere. You are off air, and nothing more is recorded.',
		taken_over: 'Somebody else has taken over this show. You are off air; what you said until then is a version of its own.',
		not_recorded: 'Off air. The end of the show is in no recording on the server, which could not record it; this device still has it.',
		poisoned: 'The server could not record the end of the show; this device still has it.',
		aborted: 'Nothing of this show had arrived when its time was over, so there is no recording of it.',
		unauthorized: 'The server does not know this device, so you are not on air. Pair it: scan the code on the desk.',
		token_expired: 'The pairing of this device has run out, so you are not on air. Scan the code on the desk again.',
		token_revoked: 'The pairing of this device was withdrawn, so you are off air. Ask for a new code on the desk and scan it.',
		forbidden_scope: 'This device’s pairing does not allow going on air. Scan the code on the desk.',
	},

	row: {
		title: (show) => `Show “${show}”: `,
		open: (show) => `It was on air as “${show}”. Finish it as it is; to go on air again, open the page of that show.`,
		openHere: 'It was on air. Go on air with it again, or finish it as it is.',
		goOn: 'Go on air with it',
	},

	tab: { air: (show, time) => `● ${time} ${show} – Holdfast`, other: (show) => `${show} – Holdfast` },
};

export const listen = {
	page: {
		skip: 'To the player',
		play: 'Listen',
		stop: 'Stop',
		mute: 'Sound off',
		volume: 'Volume',
		stream: 'For other players',
		streamHint: 'The same, for VLC, mpv, a car radio or any other player:',
		playerLabel: 'Player',
		token: 'Token',
		tokenHint: 'Made on the server with: holdfast token mint.',
		open: 'Open',
	},
	mute: 'Sound off',
	unmute: 'Sound on',
	tab: { air: (name) => `● ${name} – Holdfast`, off: (name) => `${name} – Holdfast` },

	state: { air: 'On air', off: 'Off air', waiting: 'Back in a moment', unknown: 'Asking the server', away: 'Not connected' },
	who: (who) => `with ${who}`,
	since: (time) => `since ${time}`,
	listeners: (n) => (n === 1 ? '1 listener' : `${n} listeners`),
	plays: (title) => `Now: ${title}`,
	of: (show) => `Show “${show}”`,

	off: 'Nobody is on air.',
	offLast: (time) => `Nobody is on air. The last show began ${time}.`,
	begins: 'Leave this page open: it begins by itself when somebody comes.',
	beginsAsk: 'This page says when somebody comes.',
	waiting: 'The link to the studio is lost. It goes on by itself when that is back.',
	away: 'The server cannot be reached. This page goes on trying.',
	awayPlaying: 'The server cannot be asked at the moment, so what stands here may be out of date.',
	notThereTitle: 'There is no such show',
	notThere: 'A show’s name is made of letters, digits, “-”, “_” and “.”; look at the address again.',
	refusedTitle: 'This show is not open to you',
	refused: {
		unauthorized: 'The server asks for a token, and this browser has none that it takes.',
		token_expired: 'The token of this browser has expired.',
		token_revoked: 'The token of this browser was revoked.',
		forbidden_scope: 'The token of this browser does not allow listening.',
	},

	/* Of the player. */
	press: 'Press Listen: this browser plays sound only when you ask for it.',
	connecting: 'Connecting',
	buffering: 'Waiting for the next of it',
	again: 'The stream was lost. Trying again.',
	full: 'The server has no room for another listener at the moment. Trying again.',
	cannotPlay: (type) => `This browser cannot play this show${type ? ` (${type})` : ''}. Another player may; its address is below.`,
	stopped: 'Stopped.',
};
