// What can be recorded: the sources, how each is opened, and the devices to choose from.

/** Whether this page may use microphone and camera at all, and whether the browser has a recorder. */
export function ability({ isSecureContext, navigator, MediaRecorder } = globalThis) {
	if (!navigator.mediaDevices?.getUserMedia) return isSecureContext ? 'no_recorder' : 'insecure';
	return MediaRecorder ? 'live' : 'no_recorder';
}

/** front and back are no devices but directions: phones have them before they tell their cameras' names. */
function video(camera) {
	if (camera === 'front') return { facingMode: { ideal: 'user' } };
	if (camera === 'back') return { facingMode: { ideal: 'environment' } };
	return camera ? { deviceId: { exact: camera } } : true;
}

const audio = (microphone) => (microphone ? { deviceId: { exact: microphone } } : true);

/**
 * Opens what was chosen: { source, microphone, camera }, the two being ids of devices, '' for the system's choice, or front and back.
 * Resolves with { stream, soundless }; a camera without any microphone is better than nothing, and said.
 */
export async function openSource({ source, microphone, camera }, media = navigator.mediaDevices) {
	if (source === 'screen') return { stream: await media.getDisplayMedia({ audio: true, video: true }), soundless: false };
	if (source === 'microphone') return { stream: await media.getUserMedia({ audio: audio(microphone) }), soundless: false };
	try {
		return { stream: await media.getUserMedia({ audio: audio(microphone), video: video(camera) }), soundless: false };
	} catch (error) {
		if (error.name !== 'NotFoundError') throw error;
		return { stream: await media.getUserMedia({ video: video(camera) }), soundless: true };
	}
}

/**
 * What to choose from: { microphones, cameras }, each a list of { id, label }. Names are known only once the browser was allowed to
 * use such a device; before that, and on phones, cameras are told apart by where they look.
 */
export async function listDevices({ names, directions, media = navigator.mediaDevices }) {
	const all = await media.enumerateDevices().catch(() => []);
	const of = (kind, name) => all
		.filter((device) => device.kind === kind && device.deviceId && device.deviceId !== 'default' && device.deviceId !== 'communications')
		.map((device, i) => ({ id: device.deviceId, label: device.label || names.unnamed(name, i + 1) }));
	const usual = { id: '', label: names.usual };
	const ways = directions ? [{ id: 'front', label: names.front }, { id: 'back', label: names.back }] : [usual];
	return {
		microphones: [usual, ...of('audioinput', names.microphone)],
		cameras: [...ways, ...of('videoinput', names.camera)],
	};
}
