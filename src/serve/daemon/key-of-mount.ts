import { Deadline } from '../../base/deadline.ts';
import { CkptfsError, toPlainError } from '../../base/errors.ts';
import type { AuditEvent } from '../../base/linux/audit-log.ts';
import { exitNow } from '../../base/linux/processes.ts';
import { IMAGE_KEY_SIZE } from '../../crypto/image-keys.ts';
import { Secret } from '../../crypto/secret.ts';
import type { KeyAnswer, KeyStatus } from '../control/control-messages.ts';
import type { DaemonConfig } from '../handover/daemon-config.ts';
import { type KeyOrigin, offerKeyChannel, receiveKey } from '../handover/key-channel.ts';
import { keyMark } from '../leases/key-mark.ts';
import type { HeldStore } from './held-store.ts';
import { KeyTtl } from './key-ttl.ts';
import type { Log } from './log.ts';
import type { MountKeys } from './mount-keys.ts';
import { MountLease } from './mount-lease.ts';
import type { ServedMount } from './served-mount.ts';

/** Why a mount is locked, as the audit log has it and as the log says it. */
const REASONS = {
  command: 'a command',
  time: 'its time',
  revoked: 'its lease, as its key may not be used any more',
  unreachable: 'its lease, which was not renewed',
} as const;

type Reason = keyof typeof REASONS;

/** How long processes may go on using a mount that cannot be locked when its key has to go. */
const LEAVE_MILLISECONDS = 10_000;

/** The mount that a key is of. */
export interface KeptMount {
  readonly config: DaemonConfig;
  readonly mount: ServedMount;
  readonly store: HeldStore;
  readonly imageKey: Secret;
  readonly log: Log;
  /** Keeps a line in the audit log, if there is one. Never throws. */
  note(event: AuditEvent['event'], result: string, facts?: Partial<AuditEvent>): void;
  /** Takes the mount out of sight. Never throws. */
  detach(why: string): Promise<void>;
}

/** The key of a mount over time: what opened the image, how long it may stay, and that it is wiped and given again. */
export class KeyOfMount {
  readonly #kept: KeptMount;
  readonly #ttl: KeyTtl | undefined;
  readonly #lease: MountLease | undefined;
  #origin: KeyOrigin = {};

  constructor(kept: KeptMount) {
    this.#kept = kept;
    const { config, mount, store, log } = kept;
    const { keyTtlSeconds, lease } = config;
    this.#ttl = keyTtlSeconds === undefined ? undefined : new KeyTtl(keyTtlSeconds, () => void this.lock('time'));
    if (lease === undefined) return;
    const { imageId, mountPoint, keys } = mount;
    this.#lease = new MountLease(lease, {
      ...{ imageId, mountPoint, log, canLock: keys !== undefined, place: store.place },
      isCriu: config.criu !== undefined,
      keyMark: () => (config.criu === undefined ? keyMark(kept.imageKey, imageId) : undefined),
      lock: (why) => this.lock(why),
      leave: (why) => this.#leave(why),
      note: kept.note,
    });
  }

  /** The mount serves with a key. */
  start(origin: KeyOrigin): void {
    this.#origin = origin;
    this.#ttl?.start();
    this.#lease?.start(origin.fetchedAt, origin.leaseSeconds);
  }

  /** The mount is gone. */
  stop(): void {
    this.#ttl?.stop();
    this.#lease?.stop();
  }

  get status(): KeyStatus {
    const { slot, source } = this.#origin;
    const locked = this.#kept.mount.keys?.isLocked ?? false;
    return { locked, secondsLeft: this.#ttl?.secondsLeft, lease: this.#lease?.status, slot, source };
  }

  /** Locks the mount. Never throws. */
  async lock(why: Reason): Promise<KeyAnswer> {
    const { mount, log } = this.#kept;
    if (mount.keys !== undefined) this.stop();
    const work = async (): Promise<void> => {
      await this.#keys.lock();
      log.info(`${mount.mountPoint} is locked by ${REASONS[why]}: keys and cached plaintext are wiped`);
    };
    return this.#answer('lock', work, { reason: why });
  }

  /** Takes a key from a command, and unlocks the mount with it. Never throws. */
  async unlock(caller: number): Promise<KeyAnswer> {
    return this.#answer('unlock', async () => {
      const keys = this.#keys;
      const imageKey = Secret.zeros(IMAGE_KEY_SIZE);
      let origin: KeyOrigin = {};
      try {
        const isThere = await receiveKey(offerKeyChannel(caller), imageKey, (received) => {
          origin = received;
        });
        if (!isThere) {
          throw new CkptfsError('no-key', 'no key was sent', { data: { needs: 'key' } });
        }
        // A key that is merely right must not prolong the time of the one that is there.
        if (!(await keys.unlock(imageKey))) return;
      } finally {
        imageKey.wipe();
      }
      this.start(origin);
      this.#kept.log.info(`${this.#kept.mount.mountPoint} is unlocked`);
    });
  }

  /** Detaches the mount because of its lease, and lets its key go as soon as that can be. Never throws. */
  async #leave(why: Reason): Promise<void> {
    const { config, mount, imageKey, log, note, detach } = this.#kept;
    const { keys, stopped, mountPoint } = mount;
    if (keys !== undefined) await this.lock(why);
    await detach(REASONS[why]);
    const isGone = await Deadline.after(LEAVE_MILLISECONDS).wait(stopped.then(() => true));
    if (isGone === true || keys !== undefined) return;
    if (config.write) {
      log.warning(`${mountPoint} is still in use: its key stays until what was written is sealed`);
      return;
    }
    log.warning(`${mountPoint} is still in use, and cannot be locked: this process ends, with the key`);
    imageKey.wipe();
    note('unmount', 'ok', { reason: why });
    exitNow(0);
  }

  async #answer(
    event: 'lock' | 'unlock',
    work: () => Promise<void>,
    facts: Pick<AuditEvent, 'reason'> = {},
  ): Promise<KeyAnswer> {
    const { note, log } = this.#kept;
    try {
      await work();
      note(event, 'ok', facts);
      return { key: 'done' };
    } catch (error) {
      note(event, toPlainError(error).code, facts);
      log.warning(toPlainError(error).message);
      return { key: 'failed', error: toPlainError(error) };
    }
  }

  /** @throws CkptfsError `bad-argument` */
  get #keys(): MountKeys {
    const { mount, config } = this.#kept;
    const { keys, mountPoint: path } = mount;
    if (keys !== undefined) return keys;
    const { write, criu } = config;
    const why = write
      ? 'what is written is sealed with its key'
      : criu === undefined
        ? `it is served by ${mount.transport}`
        : 'it is a directory that CRIU encrypted';
    const data = write || criu !== undefined ? {} : { reason: 'transport' as const };
    throw new CkptfsError('bad-argument', `${path} cannot be locked: ${why}; unmount it instead`, { path, data });
  }
}
