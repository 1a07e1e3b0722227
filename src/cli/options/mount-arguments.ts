import type { ArgumentsCamelCase, Argv } from 'yargs';
import type { MountOptions } from '../../serve/launch/checked-options.ts';
import { type CommonOptions, checkPaths } from '../command.ts';
import { omitUndefined } from '../omit-undefined.ts';
import { packageVersion } from '../version.ts';
import { auditTarget } from './audit.ts';
import { checkEphemeral, withEphemeralOption } from './ephemeral-option.ts';
import { withImageId, withSource } from './image-options.ts';
import { withKeyOptions } from './key-options.ts';
import { withLazyOptions } from './lazy-options.ts';
import { leaseFrom, withLeaseOptions } from './lease-options.ts';
import { withLogFormat } from './log-options.ts';
import { parseMountOptions } from './mount-options.ts';
import { withNewImageOptions } from './new-image-options.ts';
import { durationFrom, withJson } from './options.ts';
import { withServingOptions, withWriteOption } from './serving-options.ts';
import { withSignatureDemand } from './signature-options.ts';

/** Adds the arguments of `ckptfs mount`. */
export function withMountArguments(yargs: Argv<CommonOptions>) {
  return withJson(withBackgroundMountArguments(yargs)).option('foreground', {
    alias: 'f',
    type: 'boolean',
    default: false,
    describe: 'Stay in the foreground and log to standard error',
  });
}

/** Adds the arguments of a command that mounts by a daemon in the background. */
export function withBackgroundMountArguments<T extends CommonOptions>(yargs: Argv<T>) {
  return withLazyOptions(
    withLogFormat(
      withLeaseOptions(
        withNewImageOptions(
          withServingOptions(
            withEphemeralOption(withWriteOption(withSignatureDemand(withImageId(withKeyOptions(withSource(yargs)))))),
          ),
        ),
      ),
    ),
  )
    .positional('MNT', { type: 'string', demandOption: true, describe: 'Directory to mount on' })
    .option('allow-root', { type: 'boolean', default: false, describe: 'Let root in' })
    .option('key-ttl', {
      type: 'string',
      nargs: 1,
      coerce: (text: string) => durationFrom('--key-ttl', text),
      describe: 'Lock the mount after a time, such as 30m or 8h',
    })
    .option('log-file', { type: 'string', nargs: 1, describe: 'Log of the daemon; see FILES in the manual' })
    .option('options', {
      alias: 'o',
      type: 'string',
      array: true,
      nargs: 1,
      default: [] as string[],
      describe: 'Mount options as in fstab: key_file=FILE, allow_other, scratch, write, …',
    });
}

/** Returns what the daemon of a mount needs to go on with an audit log. */
function auditOf(args: { readonly auditLog?: string | undefined }): MountOptions['auditLog'] {
  const target = auditTarget(args);
  return target === undefined ? undefined : { target, version: packageVersion() };
}

type OptionsOf<T> = T extends Argv<infer U> ? U : never;

/** The arguments of a command that mounts, as a parser understands them. */
export type MountArguments = ArgumentsCamelCase<OptionsOf<ReturnType<typeof withBackgroundMountArguments>>>;

/**
 * Joins the options of a command line and those in its `-o` lists. Options of the line come first.
 * @throws CkptfsError `bad-argument`; `no-answer` when a path cannot be looked at
 */
export async function mountRequest(args: MountArguments) {
  const { settings, rest } = parseMountOptions(args.options);
  await checkPaths({ ...settings });
  const image = {
    ...args,
    keyFile: [...(args.keyFile ?? []), ...(settings.keyFile ?? [])],
    key: [...(args.key ?? []), ...(settings.key ?? [])],
    privateKey: [...(args.privateKey ?? []), ...(settings.privateKey ?? [])],
    keyDir: [...(args.keyDir ?? []), ...(settings.keyDir ?? [])],
    auditLog: args.auditLog ?? settings.auditLog,
    passphraseFile: args.passphraseFile ?? settings.passphraseFile,
    imageId: args.imageId ?? settings.imageId,
    requireSignature: args.requireSignature || (settings.requireSignature ?? false),
    trusted: [...(args.trusted ?? []), ...(settings.trusted ?? [])],
    minEpoch: args.minEpoch ?? settings.minEpoch,
    epochFile: args.epochFile ?? settings.epochFile,
    verify: args.verify || (settings.verify ?? false),
    s3Endpoint: args.s3Endpoint ?? settings.s3Endpoint,
    s3Region: args.s3Region ?? settings.s3Region,
    plainHttp: args.plainHttp || (settings.plainHttp ?? false),
    remoteCaFile: args.remoteCaFile ?? settings.remoteCaFile,
    remoteTimeout: args.remoteTimeout ?? settings.remoteTimeout,
    remoteCache: args.remoteCache ?? settings.remoteCache,
    remoteCacheSize: args.remoteCacheSize ?? settings.remoteCacheSize,
    prefetch: args.prefetch ?? settings.prefetch,
  };
  const keyLease = args.keyLease ?? settings.keyLease;
  const keyTtl = args.keyTtl ?? settings.keyTtl;
  const lease = leaseFrom({
    ...image,
    keyLease,
    onRevoked: args.onRevoked ?? settings.onRevoked,
    onUnreachable: args.onUnreachable ?? settings.onUnreachable,
    keyGrace: args.keyGrace ?? settings.keyGrace,
    noKeyCache: args.noKeyCache || (settings.noKeyCache ?? false),
  });
  const mount: MountOptions = {
    location: args.ENC,
    mountPoint: args.MNT,
    fuseOptions: rest,
    allowOther: args.allowOther,
    allowRoot: args.allowRoot,
    scratch: args.scratch || (settings.scratch ?? false),
    write: args.write || (settings.write ?? false),
    ...omitUndefined({
      transport: args.transport ?? settings.transport,
      workers: args.workers ?? settings.workers,
      cacheSize: args.cacheSize ?? settings.cacheSize,
      pageFiles: args.pageFiles ?? settings.pageFiles,
      rootMode: args.rootMode ?? settings.rootMode,
      keyTtlSeconds: keyTtl,
      logFormat: args.logFormat ?? settings.logFormat,
      auditLog: auditOf(image),
      lease,
    }),
  };
  const ephemeral = args.ephemeral || (settings.ephemeral ?? false);
  if (ephemeral) checkEphemeral({ ...image, keyLease, keyTtl }, mount.write);
  return { image, mount, ephemeral, logFile: args.logFile ?? settings.logFile };
}
