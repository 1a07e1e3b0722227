import type { CounterName } from '../../base/counters.ts';
import type { CkptfsError } from '../../base/errors.ts';
import type { Secret } from '../../crypto/secret.ts';

export type CounterSums = Readonly<Record<CounterName, number>>;

/** An image key that may still be on its way: what does not need it can be made ready meanwhile. */
export interface ComingKey {
  /** Where it will be: zeros until it has arrived. */
  readonly imageKey: Secret;
  readonly arrived: Promise<void>;
}

/** A mount that is being served by this process, whatever the transport. */
export interface Serving {
  /** Absolute, without symbolic links. */
  readonly mountPoint: string;
  /** `MAJOR:MINOR` of what is visible there. */
  readonly device: string;
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  /** Threads that serve. */
  readonly workers: number;
  /** Settles once no request comes any more: what follows is sealing, where the image was written on, and wiping. */
  readonly stopped: Promise<void>;
  /** Whether that has come, and an image that was written on is being sealed. */
  readonly isSealing: boolean;
  /**
   * Settles once the mount is gone, by whomever it was unmounted, an image that was written on is sealed and durable, and all but the
   * image key is wiped; with the reason when it could not be sealed.
   */
  readonly ended: Promise<CkptfsError | undefined>;
  /** Of all workers, since the mount was made. */
  counters(): CounterSums;
}
