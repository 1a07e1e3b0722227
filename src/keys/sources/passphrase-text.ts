import { CkptfsError } from '../../base/errors.ts';
import { Secret } from '../../crypto/secret.ts';

export const MAX_PASSPHRASE_SIZE = 1024;
const LINE_FEED = 0x0a;

/** Takes the first line, without its line feed: 1 to 1024 bytes. @throws CkptfsError `bad-key-file` */
export function parsePassphrase(text: Uint8Array, source: string, path?: string): Secret {
  const end = text.indexOf(LINE_FEED);
  const line = end === -1 ? text : text.subarray(0, end);
  if (line.length >= 1 && line.length <= MAX_PASSPHRASE_SIZE) return Secret.copy(line);
  const found = line.length === 0 ? 'it is empty' : 'it is longer';
  throw new CkptfsError(
    'bad-key-file',
    `${source}: expected a passphrase of 1 to ${MAX_PASSPHRASE_SIZE} bytes in the first line; ${found}`,
    { ...(path === undefined ? {} : { path }), data: { reason: 'not-a-passphrase' } },
  );
}
