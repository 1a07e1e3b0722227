import type { CkptfsError } from '../../base/errors.ts';
import type { Secret } from '../../crypto/secret.ts';
import type { CounterSums } from '../control/control-messages.ts';
import type { ServingTransport } from '../handover/daemon-config.ts';
import type { KeyOrigin } from '../handover/key-channel.ts';
import type { MountKeys } from './mount-keys.ts';

/** An image key that may not have arrived yet. The daemon prepares meanwhile what does not need it. */
export interface PendingKey {
  /** The memory that gets the key. Zeros until `arrived` settles. */
  readonly imageKey: Secret;
  readonly arrived: Promise<void>;
  /** Returns what opened the image; nothing is known of it before `arrived` settles. */
  readonly origin: () => KeyOrigin;
}

/** A mount that this process serves, by either transport. */
export interface ServedMount {
  readonly transport: ServingTransport;
  /** An absolute path without symbolic links. */
  readonly mountPoint: string;
  /** The device number of what is visible there, `MAJOR:MINOR`. */
  readonly device: string;
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  /** What the caller is to be told of the image. */
  readonly warnings: readonly string[];
  /** Undefined for a mount that cannot be locked. */
  readonly keys: MountKeys | undefined;
  /** The number of threads that serve. */
  readonly workers: number;
  /** Settles once no request comes any more. What follows is sealing, if the image was writable, and wiping. */
  readonly stopped: Promise<void>;
  readonly isSealing: boolean;
  /**
   * Settles once the mount is gone, whichever process unmounted it; a writable image is sealed and durable, and all but
   * the image key is wiped. The value is the reason why the image could not be sealed.
   */
  readonly ended: Promise<CkptfsError | undefined>;
  /** Returns the sums over all threads since the mount was made. */
  counters(): CounterSums;
}
