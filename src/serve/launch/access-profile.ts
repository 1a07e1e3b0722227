import { CkptfsError } from '../../base/errors.ts';
import { callDaemon } from '../control/control-client.ts';
import { noDaemon, withDaemonOf } from './key-orders.ts';

/** What was read of an image in a remote store since it was mounted. */
export interface RecordedProfile {
  /** The address of the image. */
  readonly url: string;
  readonly mountPoint: string;
  /** An access profile (docs/remote.md). */
  readonly bytes: Buffer;
}

/**
 * Asks the daemon of a mount of this user what was read, and in which order.
 * @throws CkptfsError `not-mounted`; `bad-argument` when it is another user's, or not of an image in a remote store;
 *   `no-answer`, `missing-feature` when its daemon, or the process that fetches, does not answer
 */
export async function recordedProfile(directory: string): Promise<RecordedProfile> {
  return withDaemonOf(directory, async ({ name, owner, status }, found, deadline) => {
    const { mountPoint: path } = found;
    if (owner !== process.geteuid?.())
      throw new CkptfsError('bad-argument', `${path} is a mount of user ${owner}, who alone can record it`, { path });
    if (status.remote === undefined)
      throw new CkptfsError('bad-argument', `${path} is not the mount of an image in a remote store`, { path });
    const link = callDaemon(name, owner);
    if (typeof link !== 'object') throw noDaemon(found);
    try {
      const answer = await link.profile(deadline);
      if (typeof answer?.profile !== 'string') throw silent(path);
      return { url: status.location, mountPoint: path, bytes: Buffer.from(answer.profile) };
    } finally {
      link.close();
    }
  });
}

function silent(path: string): CkptfsError {
  return new CkptfsError('no-answer', `the process that fetches what is read on ${path} does not answer`, {
    path,
    data: { reason: 'daemon-slow' },
  });
}
