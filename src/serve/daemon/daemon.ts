import { type CkptfsError, toPlainError } from '../../base/errors.ts';
import { type AuditEvent, AuditLog } from '../../base/linux/audit-log.ts';
import type { Secret } from '../../crypto/secret.ts';
import type { MountInfo } from '../../fuse/mount/mountinfo.ts';
import { discardImage } from '../../image/discard-image.ts';
import { removeStaleSockets } from '../control/control-client.ts';
import type { DaemonEvent, DaemonStatus } from '../control/control-messages.ts';
import type { DaemonConfig } from '../handover/daemon-config.ts';
import { describeHolders } from '../mounts/holders.ts';
import { unmountOwn } from '../mounts/own-mounts.ts';
import { ownStateDirectory } from '../mounts/state-directory.ts';
import { ControlSocket } from './control-socket.ts';
import type { DaemonNamespace } from './daemon-namespace.ts';
import { FetcherLink } from './fetcher-link.ts';
import { HeldStore } from './held-store.ts';
import { KeyOfMount } from './key-of-mount.ts';
import type { Log } from './log.ts';
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
  readonly #fetcher: FetcherLink | undefined;
  readonly #imageKey: Secret;
  readonly #log: Log;
  readonly #namespace: DaemonNamespace;
  readonly #audit: AuditLog | undefined;
  readonly #startedAt = Date.now();
  readonly #key: KeyOfMount;
  #control: ControlSocket | undefined;
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
    this.#fetcher = store.remote && new FetcherLink(store.remote.control, store.remote.url, log);
    this.#namespace = namespace;
    this.#audit = audit;
    this.mount = mount;
    this.#key = new KeyOfMount({
      ...{ config, mount, store, imageKey, log },
      note: (event, result, facts) => this.#note(event, result, facts),
      detach: (why) => this.detach(why),
    });
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
    daemon.#key.start(key.origin());
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
    this.#key.stop();
    await this.#atMount((left) => this.#unmount(left, true));
    const failure = this.#isToSeal ? await this.#sealed() : await this.mount.ended;
    this.#imageKey.wipe();
    this.#note('unmount', failure?.code ?? 'ok');
    this.#discardEphemeral();
    this.#fetcher?.close();
    this.#store.close();
    this.#log.info(`${this.mount.mountPoint} is unmounted; keys and cached plaintext are wiped`);
    await this.#control?.close(this.#outcome(failure));
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
        lock: () => this.#key.lock('command'),
        unlock: (caller) => this.#key.unlock(caller),
        profile: async () => this.#fetcher?.profile(),
      });
    } catch (error) {
      this.#log.warning(`no list of mounts will have this one: ${toPlainError(error).message}`);
    }
  }

  /** Keeps a line in the audit log, if there is one. Never throws: what it is about has happened. */
  #note(event: AuditEvent['event'], result: string, facts: Partial<AuditEvent> = {}): void {
    try {
      this.#audit?.write({ event, image: this.#store.location, imageId: this.mount.imageId, ...facts, result });
    } catch (error) {
      this.#log.error(toPlainError(error).message);
    }
  }

  get #isToSeal(): boolean {
    return this.#config.write && this.#config.ephemeral === undefined;
  }

  /** Removes an image that nothing opens any more, wherever it was moved. Never throws: its key is gone. */
  #discardEphemeral(): void {
    const { ephemeral } = this.#config;
    if (ephemeral === undefined) return;
    const { location } = this.#store;
    try {
      const isRemoved = discardImage({ ...ephemeral.made, location });
      if (!isRemoved) this.#log.warning(`${location} is no longer there to be removed`);
    } catch (error) {
      this.#log.warning(`what nothing opens any more was not removed: ${toPlainError(error).message}`);
    }
  }

  /** Returns what the command that unmounts is told: nothing where nothing was written. */
  #outcome(failure: CkptfsError | undefined): DaemonEvent | undefined {
    if (!this.#config.write) return undefined;
    if (failure !== undefined) return { event: 'unsealed', error: toPlainError(failure) };
    return { event: this.#isToSeal ? 'sealed' : 'discarded' };
  }

  async #status(): Promise<DaemonStatus> {
    const { transport, mountPoint, device, imageId, workers, isSealing } = this.mount;
    const { scratch, write, allowOther, allowRoot, noExec, fsName, cacheSize, pageFiles, logFile, logFormat } =
      this.#config;
    const { location } = this.#store;
    return {
      ...{ mountPoint, device, location, imageId, transport, workers, scratch, write },
      format: this.#config.criu === undefined ? 'ckptfs' : 'criu',
      ephemeral: this.#config.ephemeral !== undefined,
      state: isSealing ? 'sealing' : 'serving',
      uptimeSeconds: Math.floor((Date.now() - this.#startedAt) / 1000),
      key: this.#key.status,
      counters: this.mount.counters(),
      ...(this.#fetcher && { remote: { directory: this.#config.location, counters: await this.#fetcher.counts() } }),
      options: { allowOther, allowRoot, noExec, fsName, cacheSize, pageFiles, logFile, logFormat },
    };
  }
}
