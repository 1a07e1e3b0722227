import { CkptfsError, systemErrorName } from '../../base/errors.ts';
import type { Secret } from '../../crypto/secret.ts';
import type { MadeImage } from '../../image/discard-image.ts';
import { isVacant, rootLike } from '../../library/new-image.ts';
import { isCriuDirectory } from '../../library/open-readable.ts';
import { isRemoteAddress } from '../../remote/shared/remote-address.ts';
import { checkMount, type MountOptions } from '../../serve/launch/checked-options.ts';
import type { DaemonProcess } from '../../serve/launch/daemon-process.ts';
import { becomeDaemon, isUnlocker, mountByParent } from '../../serve/launch/foreground.ts';
import { type MountHandle, mountImage } from '../../serve/launch/mount.ts';
import { defineCommand } from '../command.ts';
import { withEphemeralImage } from '../ephemeral-image.ts';
import { exitCodes } from '../exit-codes.ts';
import { withNewImage } from '../new-image.ts';
import { omitUndefined } from '../omit-undefined.ts';
import { hasOthers, type KeyOrigin } from '../options/held-keys.ts';
import { withImageKey } from '../options/image-arguments.ts';
import { refuseLazyOptions, withRemoteImage } from '../options/lazy-options.ts';
import { type MountArguments, mountRequest, withMountArguments } from '../options/mount-arguments.ts';
import { refuseNewImageOptions } from '../options/new-image-options.ts';
import { checkVerify } from '../options/serving-options.ts';
import { demandedManifest } from '../options/signature-options.ts';
import { print, printJson, warn } from '../terminal/output.ts';

export const command = defineCommand({
  examples: [
    ['$0 mount enc mnt -k k', 'To be read: by criu restore -D mnt -W /tmp'],
    ['$0 mount enc mnt -k k --scratch', 'To be restored from by a criu that writes its log there, as root'],
    ['$0 mount new mnt -k k --write', 'A new image to be written: by criu dump -D mnt; umount seals it'],
    ['$0 mount new mnt --write --ephemeral', 'Scratch space: umount removes it, and nothing opens it before or after'],
    ['$0 mount enc mnt -o key_file=k,allow_other', 'As fstab says it'],
    ['$0 mount oci://localhost:5000/web:checkpoint-1 mnt -k k', 'What was pushed: what is read is fetched then'],
  ],
  options: withMountArguments,
  async run(args, { earlyDaemon }) {
    if (args.foreground && !isUnlocker()) becomeDaemon(thisCommand(), [args.ENC, args.MNT]);
    await mountAndReport(args, await mountRequest(args), earlyDaemon);
  },
});

type Request = Awaited<ReturnType<typeof mountRequest>>;

/**
 * Mounts what a command line asks for, and prints what was made and what is to be warned of. Returns nothing in the
 * foreground.
 */
export async function mountAndReport(
  args: MountArguments & { readonly foreground: boolean; readonly json: boolean },
  { image, mount: requested, ephemeral, logFile }: Request,
  earlyDaemon?: DaemonProcess,
): Promise<MountHandle | undefined> {
  checkVerify(image.verify, requested.write);
  const isRemote = isRemoteAddress(args.ENC);
  if (!isRemote) refuseLazyOptions(image);
  const common = { logFile, foreground: args.foreground, earlyDaemon };
  if (ephemeral) {
    const mounted = await adviseOnFailure(requested, async () => {
      await checkMount(requested);
      return withEphemeralImage({ ...args, root: rootLike(args.MNT) }, (imageKey, made) =>
        serve({ ...common, mount: { ...requested, ephemeral: made } }, imageKey, made.made),
      );
    });
    return report(args, mounted);
  }
  if (isRemote) {
    const how = { write: requested.write, verify: image.verify };
    const mounted = await withRemoteImage(image, how, async ({ place, source }) => {
      const mount = { ...requested, ...source, ...(await demandedManifest({ ...image, place }, requested)) };
      return withImageKey(
        { ...image, place },
        (imageKey, origin) => serve({ ...common, mount, origin }, imageKey),
        mount,
      );
    });
    return report(args, mounted);
  }
  if (isCriuDirectory(args.ENC)) {
    refuseNewImageOptions(args);
    const { withCriuSecrets } = await import('../criu/criu-secrets.ts');
    const mounted = await withCriuSecrets(
      image,
      image.verify,
      ({ criu, secrets, origin }) => serve({ ...common, mount: { ...requested, criu }, origin }, secrets),
      requested.lease,
    );
    return report(args, mounted);
  }
  const mount = { ...requested, ...(await demandedManifest(image, requested)) };
  const serving = { ...common, mount };
  // With `-o write` no image is made: the empty directory may be where a disk should be mounted but is not.
  if (args.write && image.imageId === undefined && isVacant(args.ENC)) {
    const [mounted, made] = await adviseOnFailure(mount, async () => {
      await checkMount(mount);
      return withNewImage({ ...image, root: rootLike(args.MNT) }, async (imageKey, made) => {
        if (serving.foreground && !args.json && !args.quiet) await printLines(made.announcement);
        return [await serve(serving, imageKey, made), made] as const;
      });
    });
    if (mounted !== undefined && !args.json && !args.quiet) await printLines(made.announcement);
    return report(args, mounted, made.keyFile);
  }
  refuseNewImageOptions(args);
  const mounted = await adviseOnFailure(mount, async () => {
    // Before anyone is asked for a passphrase. A key file needs no such time.
    if (image.keyFile.length === 0 || hasOthers(image)) await checkMount(mount);
    return withImageKey(image, (imageKey, origin) => serve({ ...serving, origin }, imageKey), {
      write: mount.write,
      verify: image.verify,
      lease: mount.lease,
    });
  });
  return report(args, mounted);
}

interface ServingArguments {
  readonly mount: MountOptions;
  readonly logFile: string | undefined;
  readonly foreground: boolean;
  readonly earlyDaemon: DaemonProcess | undefined;
  /** Returns what opened an image that was there before. */
  readonly origin?: () => KeyOrigin;
}

/** Returns the command line of this process. */
function thisCommand(): [string, ...string[]] {
  return [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
}

/** Mounts, and returns nothing in the foreground. @param made the image, if it was made for this mount */
async function serve(
  { mount, logFile, foreground, earlyDaemon, origin }: ServingArguments,
  imageKey: Secret | Promise<Secret>,
  made?: MadeImage,
): Promise<MountHandle | undefined> {
  if (foreground) {
    await mountByParent({ ...mount, imageKey: await imageKey, exitCodes, origin, ...omitUndefined({ made }) });
    return undefined;
  }
  return mountImage({ ...mount, ...omitUndefined({ logFile }), imageKey, origin }, earlyDaemon);
}

async function report(
  { json, quiet }: { readonly json: boolean; readonly quiet: boolean },
  mounted: MountHandle | undefined,
  keyFile?: string,
): Promise<MountHandle | undefined> {
  if (mounted === undefined) return undefined;
  const { mountPoint, imageId, pid, logFile, warnings } = mounted;
  if (!quiet) for (const warning of warnings) await warn(warning);
  if (json) await printJson({ mountPoint, imageId, pid, logFile, ...omitUndefined({ keyFile }) });
  return mounted;
}

async function printLines(lines: readonly string[]): Promise<void> {
  for (const line of lines) await print(`${line}\n`);
}

/** Adds to an error that nothing is mounted: a script that goes on would write plaintext into the bare directory. */
async function adviseOnFailure<T>({ mountPoint, write }: MountOptions, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (write !== true || !(error instanceof CkptfsError)) throw error;
    if (error.code === 'bad-argument' || error.code === 'already-mounted') throw error;
    if (systemErrorName(error.cause) === 'ENOENT') throw error;
    throw error.reworded(error.message, { aftermath: { state: 'not-mounted', mountPoint } });
  }
}
