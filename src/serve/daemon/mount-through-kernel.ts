import { READ_AHEAD_KIBIBYTES, READS_AHEAD } from '../../base/tuning.ts';
import { aheadMemory } from '../../fs/ahead/layout.ts';
import { DEFAULT_MAX_TRANSFER_BYTES } from '../../fuse/device/connection.ts';
import { type KernelMount, mountKernel } from '../../fuse/mount/mount-kernel.ts';
import { setReadAhead, unmount } from '../../fuse/mount/mount-point.ts';
import { capacityOf, countQueues } from '../../fuse/uring/queues.ts';
import { RingAgreement } from '../../fuse/uring/ring-agreement.ts';
import type { RingPlan } from '../../fuse/uring/serve-rings.ts';
import { readRingSwitch } from '../../fuse/uring/switch.ts';
import { type DaemonConfig, type ServingTransport, signedManifestOf } from '../handover/daemon-config.ts';
import { mayLock } from '../leases/terms.ts';
import { KeyLock } from '../thread/key-lock.ts';
import type { OpenedImage } from '../thread/thread-messages.ts';
import { CRIU_HEAP_SIZE, checkServed, wipeDecrypted } from './criu-mount.ts';
import type { DaemonNamespace } from './daemon-namespace.ts';
import type { HeldStore } from './held-store.ts';
import type { Log } from './log.ts';
import { MountKeys } from './mount-keys.ts';
import { ScratchSpace } from './scratch.ts';
import type { PendingKey, ServedMount } from './served-mount.ts';
import { ServingThreads, type ThreadsOfMount } from './serving-threads.ts';
import { ThreadsOnDemand } from './threads-on-demand.ts';

/**
 * Mounts an image through the kernel's own FUSE protocol. Threads serve it, each with its own view of the image, cache
 * and connection; a writable image has one. This thread answers the first requests to an image that is only read.
 * @throws as openImage or openWritable, and mountKernel do
 */
export async function mountThroughKernel(
  config: DaemonConfig,
  store: HeldStore,
  key: PendingKey,
  log: Log,
  namespace: DaemonNamespace,
): Promise<ServedMount> {
  const keyLock = new SharedArrayBuffer(KeyLock.byteLength);
  const threads = startThreads(config, store, key, keyLock, log);
  try {
    await key.arrived;
    return await namespace.makeMount(async () => {
      const image = await threads.open();
      checkServed(config, image);
      const scratch = config.scratch ? await ScratchSpace.prepare(config, log) : undefined;
      try {
        const made = await mountAndServe(scratch?.lower ?? config.mountPoint, config, threads, image);
        const { mountPoint, device } = (await scratch?.publish(image.root, config)) ?? made;
        const { fd, transport } = made;
        const isLockable = transport === 'kernel' && !config.write && config.criu === undefined;
        const keys = isLockable
          ? new MountKeys({ place: store.place, threads, image, fd, imageKey: key.imageKey, keyLock })
          : undefined;
        return servedMount(threads, image, transport, mountPoint, device, keys);
      } catch (cause) {
        // Here and not later: the hidden mount may be in the caller's namespace alone.
        scratch?.abandon();
        throw cause;
      }
    });
  } catch (cause) {
    threads.end();
    const unsealed = await threads.ended;
    if (unsealed !== undefined) log.failure(unsealed);
    throw cause;
  }
}

function startThreads(
  config: DaemonConfig,
  store: HeldStore,
  key: PendingKey,
  keyLock: SharedArrayBuffer,
  log: Log,
): ThreadsOfMount {
  const setup = {
    store: store.place,
    remote: store.remote?.descriptors,
    isCriu: config.criu !== undefined,
    write: config.write,
    ephemeral: config.ephemeral,
    imageKey: key.imageKey.shared,
    keyLock,
    cacheSize: Math.ceil(config.cacheSize / config.workers),
    pageFiles: config.pageFiles,
    ahead: READS_AHEAD && !config.write && config.pageFiles !== 'cached' ? aheadMemory() : undefined,
    rootMode: config.rootMode,
    manifestDigest: signedManifestOf(config),
    onlyUid: config.allowRoot ? process.getuid?.() : undefined,
    rings: usesRings(config)
      ? { ...planRings(config.workers), isRequired: config.transport === 'io-uring' }
      : undefined,
  };
  const image = { manifestSize: config.criu ? CRIU_HEAP_SIZE : store.metadataSize(), location: () => store.location };
  // Over io_uring the kernel waits for all threads. Scratch space is mounted over the image by this thread, which then
  // waits for another one to answer. What is fetched is waited for.
  const needsThreads = config.write || config.scratch || setup.rings !== undefined || setup.remote !== undefined;
  const Threads = needsThreads ? ServingThreads : ThreadsOnDemand;
  return new Threads(config.workers, setup, image, log);
}

function usesRings({ transport, write, keyTtlSeconds, lease }: DaemonConfig): boolean {
  if (transport !== 'auto') return transport === 'io-uring';
  // What is served over io_uring cannot be locked.
  return !write && keyTtlSeconds === undefined && !mayLock(lease) && readRingSwitch() === 'on';
}

function planRings(workers: number): RingPlan {
  const queues = countQueues();
  return {
    memory: new SharedArrayBuffer(RingAgreement.byteLength),
    threads: Math.min(workers, queues),
    queues,
    capacity: capacityOf(queues, DEFAULT_MAX_TRANSFER_BYTES),
  };
}

function servedMount(
  threads: ThreadsOfMount,
  image: OpenedImage,
  transport: ServingTransport,
  mountPoint: string,
  device: string,
  keys: MountKeys | undefined,
): ServedMount {
  return {
    keys,
    transport,
    mountPoint,
    device,
    imageId: image.imageId,
    warnings: image.warnings ?? [],
    stopped: threads.stopped,
    ended: threads.ended.finally(() => wipeDecrypted(image)),
    counters: () => threads.counters(),
    get isSealing() {
      return threads.isSealing;
    },
    get workers() {
      return threads.count;
    },
  };
}

async function mountAndServe(
  directory: string,
  config: DaemonConfig,
  threads: ThreadsOfMount,
  image: OpenedImage,
): Promise<KernelMount & { readonly transport: ServingTransport }> {
  const made = await mountKernel(directory, {
    source: config.fsName,
    readOnly: !config.write,
    allowOther: config.allowOther || config.allowRoot,
    noExec: config.noExec,
    maxRead: DEFAULT_MAX_TRANSFER_BYTES,
    handle: config.scratch ? undefined : config.automount,
  });
  setReadAhead(made.device, READ_AHEAD_KIBIBYTES);
  threads.serve(made.fd, image);
  try {
    return { ...made, transport: await threads.initialized() };
  } catch (cause) {
    // For an ordinary user the helper does it. If even that fails, nothing better can be done.
    await unmount(made.mountPoint, { lazy: true }).catch(() => undefined);
    throw cause;
  }
}
