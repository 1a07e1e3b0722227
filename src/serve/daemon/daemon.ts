import { CkptfsError, toPlainError } from '../../base/errors.ts';
import { type AuditEvent, AuditLog } from '../../base/linux/audit-log.ts';
import { IMAGE_KEY_SIZE } from '../../crypto/image-keys.ts';
import { Secret } from '../../crypto/secret.ts';
import type { MountInfo } from '../../fuse/mount/mountinfo.ts';
import { removeStaleSockets } from '../control/control-client.ts';
import type { DaemonEvent, DaemonStatus, KeyAnswer, KeyStatus } from '../control/control-messages.ts';
import type { DaemonConfig } from '../handover/daemon-config.ts';
import { type KeyOrigin, offerKeyChannel, receiveKey } from '../handover/key-channel.ts';
import { describeHolders } from '../mounts/holders.ts';
import { unmountOwn } from '../mounts/own-mounts.ts';
import { ownStateDirectory } from '../mounts/state-directory.ts';
import { ControlSocket } from './control-socket.ts';
import type { DaemonNamespace } from './daemon-namespace.ts';
import { HeldStore } from './held-store.ts';
import { KeyTtl } from './key-ttl.ts';
import type { Log } from './log.ts';
import type { MountKeys } from './mount-keys.ts';
import { mountThroughKernel } from './mount-through-kernel.ts';
import { mountThroughNative } from './mount-through-native.ts';
import type { PendingKey, ServedMount } from './served-mount.ts';

/**
 * Makes a mount, has it served, and ends it. The daemon's first thread runs this, and never uses the mount itself: the
 * mount might wait for that very thread.
 */
export class Daemon {
  readonly mount: ServedMount;
  readonly #config: DaemonConfig;
  readonly #store: HeldStore;
  readonly #imageKey: Secret;
  readonly #log: Log;
  readonly #namespace: DaemonNamespace;
  readonly #audit: AuditLog | undefined;
  readonly #startedAt = Date.now();
  readonly #ttl: KeyTtl | undefined;
  #control: ControlSocket | undefined;
  #origin: KeyOrigin = {};
  #wasAskedToEnd = false;

  private constructor(
    config: DaemonConfig,
    store: HeldStore,
    imageKey: Secret,
    mount: ServedMount,
    log: Log,
    namespace: DaemonNamespace,
    audit: AuditLog | undefined,
  ) {
    this.#config = config;
    this.#store = store;
    this.#imageKey = imageKey;
    this.#log = log;
    this.#namespace = namespace;
    this.#audit = audit;
    this.mount = mount;
    const { keyTtlSeconds } = config;
    this.#ttl = keyTtlSeconds === undefined ? undefined : new KeyTtl(keyTtlSeconds, () => void this.#lock('its time'));
    this.#ttl?.start();
  }

  /**
   * Mounts and serves. The daemon wipes the key when the mount has ended.
   * @throws as HeldStore.open, openImage and mountKernel do
   */
  static async start(config: DaemonConfig, key: PendingKey, log: Log, namespace: DaemonNamespace): Promise<Daemon> {
    const mountImage = config.transport === 'fuse-native' ? mountThroughNative : mountThroughKernel;
    // The process that holds a lock is found by the mount table, so this has to see the caller's.
    const store = namespace.runInCallers(() => HeldStore.open(config));
    const { auditLog } = config;
    const audit = auditLog && namespace.runInCallers(() => AuditLog.open(auditLog.target, auditLog.version));
    const mount = await mountImage(config, store, key, log, namespace);
    const daemon = new Daemon(config, store, key.imageKey, mount, log, namespace, audit);
    daemon.#origin = key.origin();
    await daemon.#listen();
    const how = config.write ? 'serving and writing' : 'serving';
    const what = config.criu === undefined ? 'image' : 'encrypted by CRIU, known here as';
    log.info(`${how} ${store.location} (${what} ${mount.imageId}) on ${mount.mountPoint}`);
    return daemon;
  }

  /**
   * Waits until the mount is gone, whichever process unmounted it, and a writable image is sealed; wipes all secrets.
   * @returns why the image could not be sealed; that is in the log by then
   */
  async ended(): Promise<CkptfsError | undefined> {
    await this.mount.stopped;
    this.#ttl?.stop();
    await this.#atMount((left) => this.#unmount(left, true));
    const failure = this.#config.write ? await this.#sealed() : await this.mount.ended;
    this.#imageKey.wipe();
    this.#note('unmount', failure?.code ?? 'ok');
    this.#store.close();
    this.#log.info(`${this.mount.mountPoint} is unmounted; keys and cached plaintext are wiped`);
    await this.#control?.close(this.#config.write ? outcomeEvent(failure) : undefined);
    return failure;
  }

  /** Unmounts if no process uses the mount; when called again, detaches it. Never throws. */
  requestEnd(why: string): Promise<void> {
    return this.#end(why, this.#wasAskedToEnd);
  }

  /** Takes the mount out of sight, and goes on serving those that still use it. Never throws. */
  detach(why: string): Promise<void> {
    return this.#end(why, true);
  }

  async #end(why: string, lazy: boolean): Promise<void> {
    const { mountPoint, isSealing } = this.mount;
    if (isSealing) return this.#log.info(`${why}: ${this.#store.location} is being sealed`);
    this.#wasAskedToEnd = true;
    this.#log.info(`${why}: ${lazy ? 'detaching' : 'unmounting'} ${mountPoint}`);
    const isFound = await this.#atMount((found) => this.#unmount(found, lazy));
    if (!isFound) this.#log.warning(`${mountPoint} is not visible here, or hidden below another mount`);
  }

  /** Runs `work` where the mount is visible. Returns whether the mount was found and `work` succeeded; never throws. */
  async #atMount(work: (found: MountInfo) => Promise<void>): Promise<boolean> {
    try {
      return await this.#namespace.withMount(this.mount, work);
    } catch (error) {
      this.#log.warning(`cannot look for ${this.mount.mountPoint}: ${toPlainError(error).message}`);
      return false;
    }
  }

  async #unmount(found: MountInfo, lazy: boolean): Promise<void> {
    try {
      await unmountOwn(found, lazy);
    } catch (error) {
      const { code, message } = toPlainError(error);
      const holders = code === 'busy' ? await describeHolders(found) : '';
      this.#log.warning(holders === '' ? message : `${message} by ${holders}; a second signal detaches it`);
    }
  }

  /** Waits until the image is sealed; announces the beginning, and logs the outcome. */
  async #sealed(): Promise<CkptfsError | undefined> {
    this.#control?.announce({ event: 'sealing' });
    const failure = await this.mount.ended;
    if (failure === undefined) this.#log.info(`${this.#store.location} is sealed`);
    else this.#log.failure(failure);
    return failure;
  }

  async #listen(): Promise<void> {
    const { device } = this.mount;
    try {
      removeStaleSockets(ownStateDirectory(), device);
      this.#control = await ControlSocket.open(device, () => this.#status(), {
        lock: () => this.#lock('a command'),
        unlock: (caller) => this.#unlock(caller),
      });
    } catch (error) {
      this.#log.warning(`no list of mounts will have this one: ${toPlainError(error).message}`);
    }
  }

  /** Keeps a line in the audit log, if there is one. Never throws: what it is about has happened. */
  #note(event: AuditEvent['event'], result: string): void {
    try {
      this.#audit?.write({ event, image: this.#store.location, imageId: this.mount.imageId, result });
    } catch (error) {
      this.#log.error(toPlainError(error).message);
    }
  }

  /** Locks the mount. Never throws. */
  async #lock(why: string): Promise<KeyAnswer> {
    this.#ttl?.stop();
    return this.#answer('lock', async () => {
      await this.#keys.lock();
      this.#log.info(`${this.mount.mountPoint} is locked by ${why}: keys and cached plaintext are wiped`);
    });
  }

  /** Takes a key from a command, and unlocks the mount with it. Never throws. */
  async #unlock(caller: number): Promise<KeyAnswer> {
    return this.#answer('unlock', async () => {
      const keys = this.#keys;
      const imageKey = Secret.zeros(IMAGE_KEY_SIZE);
      try {
        let origin: KeyOrigin = {};
        const isThere = await receiveKey(offerKeyChannel(caller), imageKey, (received) => {
          origin = received;
        });
        if (!isThere) {
          throw new CkptfsError('no-key', 'no key was sent', { data: { needs: 'key' } });
        }
        // A key that is merely right must not prolong the time of the one that is there.
        if (!(await keys.unlock(imageKey))) return;
        this.#origin = origin;
      } finally {
        imageKey.wipe();
      }
      this.#ttl?.start();
      this.#log.info(`${this.mount.mountPoint} is unlocked`);
    });
  }

  async #answer(event: 'lock' | 'unlock', work: () => Promise<void>): Promise<KeyAnswer> {
    try {
      await work();
      this.#note(event, 'ok');
      return { key: 'done' };
    } catch (error) {
      this.#note(event, toPlainError(error).code);
      this.#log.warning(toPlainError(error).message);
      return { key: 'failed', error: toPlainError(error) };
    }
  }

  /** @throws CkptfsError `bad-argument` */
  get #keys(): MountKeys {
    const { keys, mountPoint: path } = this.mount;
    if (keys !== undefined) return keys;
    const { write, criu } = this.#config;
    const why = write
      ? 'what is written is sealed with its key'
      : criu === undefined
        ? `it is served by ${this.mount.transport}`
        : 'it is a directory that CRIU encrypted';
    const data = write || criu !== undefined ? {} : { reason: 'transport' as const };
    throw new CkptfsError('bad-argument', `${path} cannot be locked: ${why}; unmount it instead`, { path, data });
  }

  get #keyStatus(): KeyStatus {
    const { slot, source } = this.#origin;
    return { locked: this.mount.keys?.isLocked ?? false, secondsLeft: this.#ttl?.secondsLeft, slot, source };
  }

  #status(): DaemonStatus {
    const { transport, mountPoint, device, imageId, workers, isSealing } = this.mount;
    const { scratch, write, allowOther, allowRoot, noExec, fsName, cacheSize, pageFiles, logFile } = this.#config;
    const { location } = this.#store;
    return {
      ...{ mountPoint, device, location, imageId, transport, workers, scratch, write },
      format: this.#config.criu === undefined ? 'ckptfs' : 'criu',
      state: isSealing ? 'sealing' : 'serving',
      uptimeSeconds: Math.floor((Date.now() - this.#startedAt) / 1000),
      key: this.#keyStatus,
      counters: this.mount.counters(),
      options: { allowOther, allowRoot, noExec, fsName, cacheSize, pageFiles, logFile },
    };
  }
}

function outcomeEvent(failure: CkptfsError | undefined): DaemonEvent {
  return failure === undefined ? { event: 'sealed' } : { event: 'unsealed', error: toPlainError(failure) };
}
