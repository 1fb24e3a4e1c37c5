// What a take shows of itself (TakeState of index.d.ts, without the sessionId): pure, used by machine.js.

export function viewOf(machine, { keptIn, readTo, retryAt }) {
	const { ledger, air, link, safe, deviceFull, refused, ended, reason, message, reconnects, problem, saved, done, id } = machine;
	const memoryBytes = keptIn === 'memory' ? ledger.total - safe : ledger.unkept;
	const keptBytes = Math.max(safe, ledger.total - memoryBytes);
	return {
		link, done, id, emittedBytes: ledger.total, keptBytes, safeBytes: safe, readBytes: Math.max(readTo, safe), unsentBytes: keptBytes - safe,
		keptIn, deviceFull, memoryBytes, writeRefused: refused, ended, parts: ledger.last.number + 1, reason, message,
		retryAt: link === 'waiting' ? retryAt : null, reconnects, problem, saved,
		onAir: air.wanted, show: air.status, version: air.version, graceEndsAt: air.graceEndsAt, recordedAgain: air.again,
		unrecordedBytes: air.unrecorded,
	};
}
