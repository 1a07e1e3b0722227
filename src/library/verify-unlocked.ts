import { CkptfsError } from '../base/errors.ts';
import { quotedPath } from '../base/printable.ts';
import type { Secret } from '../crypto/secret.ts';
import { lockForReading, openImage, readHeader } from '../image/read/image.ts';
import { verifyImage } from '../image/verify/verify.ts';
import { openStore } from '../stores/open-store.ts';

/**
 * Reads and authenticates everything in a sealed image.
 * @throws CkptfsError `damaged` when something in it is, `interrupted` by `signal`; what readHeader and openImage throw
 */
export async function verifyUnlocked(location: string, imageKey: Secret, signal?: AbortSignal): Promise<void> {
  const store = openStore(location);
  try {
    const lock = lockForReading(store);
    try {
      const { damage } = await verifyImage(openImage(store, readHeader(store), imageKey), {
        ...(signal && { signal }),
      });
      refuseDamage(
        store.location,
        damage.map(({ file, object, reason }) => ({ file: file ?? Buffer.from(`object ${object}`), reason })),
      );
    } finally {
      lock.release();
    }
  } finally {
    store.close();
  }
}

/** @throws CkptfsError `damaged` when there is any */
export function refuseDamage(
  path: string,
  damage: readonly { readonly file: Buffer; readonly reason: string }[],
): void {
  const [first] = damage;
  if (first === undefined) return;
  const more = damage.length === 1 ? '' : `, and ${damage.length - 1} more of such faults`;
  throw new CkptfsError('damaged', `${path} is damaged: ${quotedPath(first.file)}: ${first.reason}${more}`, { path });
}
