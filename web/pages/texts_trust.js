// What the page about trusting the server says; texts.js passes it on.

export const trust = {
	title: 'Let this device trust the server',
	record: 'Record',
	why: 'A browser gives a page the microphone or the camera only over https, and https needs a certificate that the device trusts. '
		+ 'This server is on your own network, where no public authority can vouch for it, so it has made an authority of its own.',
	limits: 'That authority can vouch for private addresses only: those of home and office networks, and names that end in .local, .lan or '
		+ '.home.arpa. It cannot speak for any site on the internet, and its key never leaves the machine that records.',
	off: 'This server has no certificate to trust: it listens on its own machine only, or has a certificate from elsewhere. '
		+ 'To let phones in, start it with --lan.',
	failed: (why) => `The server could not be asked for its certificate: ${why} Reload the page to try again.`,
	downloads: 'The certificate',
	ca: 'Download the certificate',
	profile: 'Download the iOS profile',
	name: 'Its name',
	until: 'Valid until',
	fingerprint: 'Its SHA-256 fingerprint',
	compare: 'Before you trust it, compare: the same fingerprint is shown by the terminal in which the server runs, and by this page when it is opened on that '
		+ 'machine itself. If they differ, somebody is in between: do not go on.',
	systems: 'How to trust it',
	yours: '– this device',
	then: 'Then record at',
	withoutTitle: 'Or without it',
	without: 'With the phone’s own camera app: it records, and the file is sent afterwards, over plain http. Whoever listens on the network could read along; '
		+ 'nothing can be lost by it. Open',
	steps: {
		android: {
			name: 'Android',
			lines: [
				'Download the certificate.',
				'Open Settings, search for “CA certificate” and choose it (Security › Encryption & credentials › Install a certificate).',
				'Choose “Install anyway”, confirm with your screen lock, and pick holdfast-ca.crt in Downloads.',
				'Close the browser and open the record page again.',
			],
		},
		ios: {
			name: 'iPhone and iPad',
			lines: [
				'Download the profile in Safari and choose “Allow”.',
				'Open Settings, tap “Profile Downloaded” at the top (or General › VPN & Device Management), and install it.',
				'In Settings › General › About › Certificate Trust Settings, switch Holdfast on.',
				'Open the record page again.',
			],
		},
		macos: {
			name: 'macOS',
			lines: [
				'Download the certificate and open it: Keychain Access takes it in.',
				'In Keychain Access, double-click the certificate and open “Trust”.',
				'Set “When using this certificate” to “Always Trust”, close the window and confirm with your password.',
				'Quit the browser and open the record page again.',
			],
		},
		windows: {
			name: 'Windows',
			lines: [
				'Download the certificate, open it, and choose “Install Certificate…” for the current user.',
				'Choose “Place all certificates in the following store”, then Browse › “Trusted Root Certification Authorities”.',
				'Finish, compare the fingerprint that Windows shows, and confirm.',
				'Close the browser and open the record page again.',
			],
		},
		linux: {
			name: 'Linux, and Firefox on any system',
			lines: [
				'Download the certificate.',
				'Firefox: Settings › Privacy & Security › View Certificates › Authorities › Import; tick “Trust this CA to identify websites”.',
				'Chrome, Chromium: Settings › Privacy and security › Security › Manage certificates; import it as trusted for websites.',
				'Restart the browser and open the record page again.',
			],
		},
	},
};
