import { READ_AHEAD_KIBIBYTES } from '../../base/tuning.ts';
import { defaultMaxTransfer } from '../../fuse/device/connection.ts';
import { type KernelMount, mountKernel } from '../../fuse/mount/mount-kernel.ts';
import { setReadAhead, unmount } from '../../fuse/mount/mount-point.ts';
import type { ComingKey, Serving } from '../control/serving.ts';
import type { DaemonConfig } from '../handover/config.ts';
import type { Log } from '../mounts/log.ts';
import type { OpenedImage } from '../worker/worker-messages.ts';
import type { DaemonNamespace } from './daemon-namespace.ts';
import type { HeldStore } from './held-store.ts';
import { ScratchSpace } from './scratch.ts';
import { WorkerCrew } from './worker-crew.ts';

/**
 * Serves an image through the kernel's own FUSE protocol, by threads of which each has its own image, cache and connection; one that is to
 * be written on by one thread.
 * @throws CkptfsError as openImage or openWritable, and mountKernel do
 */
export async function serveThroughKernel(
  config: DaemonConfig,
  store: HeldStore,
  key: ComingKey,
  log: Log,
  namespace: DaemonNamespace,
): Promise<Serving> {
  const crew = new WorkerCrew(
    config.workers,
    {
      store: store.place,
      write: config.write,
      imageKey: key.imageKey.shared,
      cacheSize: Math.ceil(config.cacheSize / config.workers),
      rootMode: config.rootMode,
      onlyUid: config.allowRoot ? process.getuid?.() : undefined,
    },
    { manifestSize: store.manifestSize(), location: () => store.location },
    log,
  );
  let scratch: ScratchSpace | undefined;
  try {
    await key.arrived;
    return await namespace.makeMount(async () => {
      const image = await crew.open();
      scratch = config.scratch ? await ScratchSpace.prepare(config.mountPoint, log) : undefined;
      const made = await mountAndServe(scratch?.lower ?? config.mountPoint, config, crew);
      const { mountPoint, device } = (await scratch?.publish(image.root, config)) ?? made;
      return serving(crew, image, mountPoint, device);
    });
  } catch (cause) {
    scratch?.abandon();
    crew.end();
    const unsealed = await crew.ended;
    if (unsealed !== undefined) log.failure(unsealed);
    throw cause;
  }
}

function serving(crew: WorkerCrew, { imageId }: OpenedImage, mountPoint: string, device: string): Serving {
  return {
    mountPoint,
    device,
    imageId,
    stopped: crew.stopped,
    ended: crew.ended,
    counters: () => crew.counters(),
    get isSealing() {
      return crew.isSealing;
    },
    get workers() {
      return crew.serving;
    },
  };
}

async function mountAndServe(directory: string, config: DaemonConfig, crew: WorkerCrew): Promise<KernelMount> {
  const made = await mountKernel(directory, {
    source: config.fsName,
    readOnly: !config.write,
    allowOther: config.allowOther || config.allowRoot,
    noExec: config.noExec,
    maxRead: defaultMaxTransfer,
  });
  setReadAhead(made.device, READ_AHEAD_KIBIBYTES);
  crew.serve(made.fd);
  try {
    await crew.initialized();
    return made;
  } catch (cause) {
    // By the helper for an ordinary user. Where even that fails, nothing better is left to do.
    await unmount(made.mountPoint, { lazy: true }).catch(() => undefined);
    throw cause;
  }
}
