import { type CkptfsError, toPlainError } from '../../base/errors.ts';
import type { Secret } from '../../crypto/secret.ts';
import type { MountInfo } from '../../fuse/mount/mountinfo.ts';
import { ControlSocket, type DaemonEvent, type DaemonStatus } from '../control/control.ts';
import { removeStaleSockets } from '../control/control-client.ts';
import type { ComingKey, Serving } from '../control/serving.ts';
import type { DaemonConfig } from '../handover/config.ts';
import { describeHolders } from '../mounts/holders.ts';
import type { Log } from '../mounts/log.ts';
import { unmountOwn } from '../mounts/own-mounts.ts';
import { ownStateDirectory } from '../mounts/state-directory.ts';
import type { DaemonNamespace } from './daemon-namespace.ts';
import { HeldStore } from './held-store.ts';
import { serveThroughKernel } from './kernel-serving.ts';
import { serveThroughNative } from './native-serving.ts';

/** A mount that serves, and what ends it. Its thread never looks at the mount itself, which might wait for that very thread. */
export class Daemon {
  readonly serving: Serving;
  readonly #config: DaemonConfig;
  readonly #store: HeldStore;
  readonly #imageKey: Secret;
  readonly #log: Log;
  readonly #namespace: DaemonNamespace;
  readonly #startedAt = Date.now();
  #control: ControlSocket | undefined;
  #requests = 0;

  private constructor(
    config: DaemonConfig,
    store: HeldStore,
    imageKey: Secret,
    serving: Serving,
    log: Log,
    namespace: DaemonNamespace,
  ) {
    this.#config = config;
    this.#store = store;
    this.#imageKey = imageKey;
    this.#log = log;
    this.#namespace = namespace;
    this.serving = serving;
  }

  /** Mounts and serves. The key becomes the daemon's to wipe. @throws CkptfsError as HeldStore.open, openImage and mountKernel do */
  static async start(config: DaemonConfig, key: ComingKey, log: Log, namespace: DaemonNamespace): Promise<Daemon> {
    const serve = config.transport === 'kernel' ? serveThroughKernel : serveThroughNative;
    // By its mount table the holder of a lock is found.
    const store = namespace.runInCallers(() => HeldStore.open(config));
    const serving = await serve(config, store, key, log, namespace);
    const daemon = new Daemon(config, store, key.imageKey, serving, log, namespace);
    await daemon.#listen();
    const how = config.write ? 'serving and writing' : 'serving';
    log.info(`${how} ${store.location} (image ${serving.imageId}) on ${serving.mountPoint}`);
    return daemon;
  }

  /**
   * Waits until the mount is gone, by whomever it was unmounted, and what was written is sealed, and wipes all that is secret.
   * @returns what kept the image from being sealed; it is logged
   */
  async ended(): Promise<CkptfsError | undefined> {
    await this.serving.stopped;
    await this.#namespace.withMount(this.serving, (left) => this.#unmount(left, true));
    const failure = this.#config.write ? await this.#sealed() : await this.serving.ended;
    this.#imageKey.wipe();
    this.#store.close();
    this.#log.info(`${this.serving.mountPoint} is unmounted; keys and cached plaintext are wiped`);
    await this.#control?.close(this.#config.write ? outcomeEvent(failure) : undefined);
    return failure;
  }

  /** Unmounts, if nobody uses the mount; asked for again, detaches it. Never throws. */
  async requestEnd(why: string): Promise<void> {
    const { mountPoint, isSealing } = this.serving;
    if (isSealing) return this.#log.info(`${why}: ${this.#store.location} is being sealed`);
    const lazy = this.#requests++ > 0;
    this.#log.info(`${why}: ${lazy ? 'detaching' : 'unmounting'} ${mountPoint}`);
    const isFound = await this.#namespace.withMount(this.serving, (found) => this.#unmount(found, lazy));
    if (!isFound) this.#log.warning(`${mountPoint} is not visible here, or hidden below another mount`);
  }

  /** Takes the mount out of sight; serving goes on for those that still use it. Never throws. */
  async detach(why: string): Promise<void> {
    this.#requests++;
    await this.requestEnd(why);
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

  /** Waits until the image is sealed, and says so before and after. */
  async #sealed(): Promise<CkptfsError | undefined> {
    this.#control?.announce({ event: 'sealing' });
    const failure = await this.serving.ended;
    if (failure === undefined) this.#log.info(`${this.#store.location} is sealed`);
    else this.#log.failure(failure);
    return failure;
  }

  async #listen(): Promise<void> {
    const { device } = this.serving;
    try {
      removeStaleSockets(ownStateDirectory(), device);
      this.#control = await ControlSocket.open(device, () => this.#status());
    } catch (error) {
      this.#log.warning(`no list of mounts will have this one: ${toPlainError(error).message}`);
    }
  }

  #status(): DaemonStatus {
    const { mountPoint, device, imageId, workers, isSealing } = this.serving;
    const { transport, scratch, write, allowOther, allowRoot, noExec, fsName, cacheSize, logFile } = this.#config;
    const { location } = this.#store;
    return {
      ...{ mountPoint, device, location, imageId, transport, workers, scratch, write },
      state: isSealing ? 'sealing' : 'serving',
      uptimeSeconds: Math.floor((Date.now() - this.#startedAt) / 1000),
      counters: this.serving.counters(),
      options: { allowOther, allowRoot, noExec, fsName, cacheSize, logFile },
    };
  }
}

function outcomeEvent(failure: CkptfsError | undefined): DaemonEvent {
  return failure === undefined ? { event: 'sealed' } : { event: 'unsealed', error: toPlainError(failure) };
}
