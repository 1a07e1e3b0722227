import { Counters, counterNames } from '../../base/counters.ts';
import { toPlainError } from '../../base/errors.ts';
import { setReadAhead } from '../../fuse/mount/mount-point.ts';
import { mountNative } from '../../fuse/native/native-transport.ts';
import type { CounterSums } from '../control/control-messages.ts';
import { type DaemonConfig, signedManifestOf } from '../handover/daemon-config.ts';
import { CountedFileSystem } from './counted-file-system.ts';
import { checkServed, wipeDecrypted } from './criu-mount.ts';
import type { HeldStore } from './held-store.ts';
import type { Log } from './log.ts';
import { openerOf } from './opener.ts';
import type { PendingKey, ServedMount } from './served-mount.ts';

const MAX_READ = 128 << 10;
const READ_AHEAD_KIBIBYTES = 1024;

/**
 * Mounts an image through the package fuse-native, which serves it on this thread.
 * @throws as openImage and mountNative do
 */
export async function mountThroughNative(
  config: DaemonConfig,
  store: HeldStore,
  key: PendingKey,
  log: Log,
): Promise<ServedMount> {
  await key.arrived;
  const counters = new Counters();
  const openToRead = await openerOf({ isCriu: config.criu !== undefined });
  const manifestDigest = signedManifestOf(config);
  const opened = openToRead(
    store.place,
    key.imageKey,
    { ...config, known: manifestDigest && { manifestDigest } },
    counters,
    (line) => log.error(line),
  );
  try {
    checkServed(config, opened.image);
    const made = await mountNative(config.mountPoint, new CountedFileSystem(opened.tree, counters), {
      source: config.fsName,
      allowOther: config.allowOther,
      noExec: config.noExec,
      maxRead: MAX_READ,
      onError: (error, operation) => log.error(`${operation} failed: ${toPlainError(error).stack}`),
    });
    setReadAhead(made.device, READ_AHEAD_KIBIBYTES);
    const sums = (): CounterSums =>
      Object.fromEntries(counterNames.map((name) => [name, counters.get(name)])) as CounterSums;
    const { mountPoint, device } = made;
    const stopped = made.ended.finally(() => opened.close());
    const ended = stopped.then(() => wipeDecrypted(opened.image)).then(() => undefined);
    const { imageId, warnings = [] } = opened.image;
    const transport = 'fuse-native';
    const common = { workers: 1, isSealing: false, keys: undefined, counters: sums };
    return { ...common, transport, mountPoint, device, imageId, warnings, stopped, ended };
  } catch (cause) {
    opened.close();
    throw cause;
  }
}
