import { fstatSync, readSync, type Stats } from 'node:fs';
import { CkptfsError, ioError, systemErrorName } from '../../base/errors.ts';
import { waitUntilReadable } from '../../base/linux/waiting.ts';
import { type KeySource, keySource } from './source.ts';

/** Makes a source of what a descriptor that this process inherited gives to its end. */
export function descriptorSource(source: string, fd: number, isAccepted: (status: Stats) => boolean): KeySource {
  return keySource(source, (into) => {
    try {
      if (!isAccepted(fstatSync(fd))) throw unreadable(`${source}: it is no file, pipe or socket`);
      let length = 0;
      while (length < into.length) {
        const read = readSome(fd, into, length);
        if (read === 0) break;
        length += read;
      }
      return length;
    } catch (error) {
      if (error instanceof CkptfsError) throw error;
      if (systemErrorName(error) === 'EBADF') {
        throw new CkptfsError('bad-key-file', `${source}: descriptor ${fd} is not open`, {
          data: { reason: 'absent' },
          cause: error,
        });
      }
      throw unreadable(ioError('read', source, error).message, error);
    }
  });
}

/** Waits where another process made reading fail that would have to wait. */
function readSome(fd: number, into: Buffer, at: number): number {
  for (;;) {
    try {
      return readSync(fd, into, at, into.length - at, null);
    } catch (error) {
      if (systemErrorName(error) !== 'EAGAIN') throw error;
      waitUntilReadable(fd);
    }
  }
}

function unreadable(message: string, cause?: unknown): CkptfsError {
  return new CkptfsError('bad-key-file', message, { data: { reason: 'unreadable' }, cause });
}
