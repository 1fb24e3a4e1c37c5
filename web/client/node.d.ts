// @holdfast/client/node.js: all of @holdfast/client, and what programs in Node have besides.
import type { Client, ClientOptions, UploadSource } from './index.js';

export * from './index.js';

export interface NodeOptions extends Omit<ClientOptions, 'server'> {
	server: string;
	/**
	 * A folder for takes that the server does not have yet, and for the ids of uploads: what was written is synced there, and the next run of the
	 * program finds it (`unfinished()`). One program at a time. Without it they are in memory.
	 */
	dir?: string;
}

/** As openClient of @holdfast/client. Close the client, or the program does not end. */
export function openClient(options: NodeOptions): Promise<Client>;

/** A file for upload(). It is read piece by piece; if it changes meanwhile the upload stops with `file_changed`. */
export function openFile(path: string, options?: { name?: string; type?: string }): Promise<UploadSource>;
