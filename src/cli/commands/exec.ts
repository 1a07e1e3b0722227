import type { ArgumentsCamelCase, Argv } from 'yargs';
import type { Secret } from '../../crypto/secret.ts';
import { isVacant } from '../../library/new-image.ts';
import { isCriuDirectory } from '../../library/open-readable.ts';
import { isRemoteAddress } from '../../remote/shared/remote-address.ts';
import { type ExecOptions, type ExecResult, execWithMount } from '../../serve/launch/exec.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import { CommandLineError } from '../command-line-error.ts';
import { withEphemeralImage } from '../ephemeral-image.ts';
import { EXIT_OK, exitCodeOfExecFailure } from '../exit-codes.ts';
import { withNewImage } from '../new-image.ts';
import { omitUndefined } from '../omit-undefined.ts';
import { checkEphemeral, withEphemeralOption } from '../options/ephemeral-option.ts';
import { withImageKey } from '../options/image-arguments.ts';
import { withImageId, withSource } from '../options/image-options.ts';
import { withKeyOptions } from '../options/key-options.ts';
import { refuseLazyOptions, withLazyOptions, withRemoteImage } from '../options/lazy-options.ts';
import { leaseFrom, withLeaseOptions } from '../options/lease-options.ts';
import { refuseNewImageOptions, withNewImageOptions } from '../options/new-image-options.ts';
import { withJson } from '../options/options.ts';
import { checkVerify, withServingOptions, withWriteOption } from '../options/serving-options.ts';
import { demandedManifest, withSignatureDemand } from '../options/signature-options.ts';
import { printFailure, printNotice, printResult, warn } from '../terminal/output.ts';

export const command = defineCommand({
  examples: [
    [
      '$0 exec new -k k --write -- criu dump -t "$(cat pid)" -D {} -W .',
      'Dump, encrypt and seal; the pid is in a file',
    ],
    ['$0 exec enc -k k -- criu restore -d -D {} -W .', '{} stands for the mount'],
    [
      '$0 exec enc -k k --lazy-pages . -- criu restore -d --lazy-pages -D {} -W .',
      'It runs at once; exec ends when all its memory is there',
    ],
    [
      '$0 exec oci://localhost:5000/web:checkpoint-1 -k k -- criu restore -d -D {} -W .',
      'From what was pushed; only what is read is fetched',
    ],
    ['$0 exec enc -k k -- grep -c secret {}/pages-1.img', 'Exit code of the command; 125 for our own'],
  ],
  options,
  async run(args) {
    const command = commandOf(args);
    const lease = leaseFrom(args);
    const { transport, workers, cacheSize, pageFiles, rootMode, scratch, allowOther, write, lazyPages } = args;
    checkVerify(args.verify, write);
    const exec = (
      imageKey: Secret | Promise<Secret>,
      kind: Partial<
        Pick<ExecOptions, 'location' | 'remote' | 'criu' | 'ephemeral' | 'signedManifest' | 'origin' | 'onMounted'>
      > = {},
    ): Promise<ExecResult> =>
      execWithMount({
        location: args.ENC,
        imageKey,
        command,
        scratch,
        allowOther,
        write,
        ...kind,
        privateNamespace: args.private,
        ...omitUndefined({ transport, workers, cacheSize, pageFiles, rootMode, lazyPages, lease }),
      });
    const isRemote = isRemoteAddress(args.ENC);
    if (!isRemote) refuseLazyOptions(args);
    if (args.ephemeral) {
      checkEphemeral(args, write);
      return end(args, await withEphemeralImage(args, (imageKey, ephemeral) => exec(imageKey, { ephemeral })), {
        isRemoved: true,
      });
    }
    if (isRemote) {
      const result = await withRemoteImage(args, { write, verify: args.verify }, async ({ place, source }) => {
        const kind = { ...source, ...(await demandedManifest({ ...args, place }, { write })) };
        return withImageKey({ ...args, place }, (imageKey, origin) => exec(imageKey, { ...kind, origin }), { lease });
      });
      return end(args, result);
    }
    if (isCriuDirectory(args.ENC)) {
      refuseNewImageOptions(args);
      const { withCriuSecrets } = await import('../criu/criu-secrets.ts');
      const onMounted: ExecOptions['onMounted'] = async ({ warnings }) => {
        if (!args.quiet) for (const warning of warnings) await warn(warning);
      };
      return end(
        args,
        await withCriuSecrets(
          args,
          args.verify,
          ({ criu, secrets, origin }) => exec(secrets, { criu, origin, onMounted }),
          lease,
        ),
      );
    }
    const signed = await demandedManifest(args, { write });
    if (write && args.imageId === undefined && isVacant(args.ENC)) return execOnNewImage(args, exec);
    refuseNewImageOptions(args);
    const result = await withImageKey(args, (imageKey, origin) => exec(imageKey, { ...signed, origin }), {
      write,
      verify: args.verify,
      lease,
    });
    const isPartial = write && result.exitCode !== EXIT_OK && result.failure === undefined;
    if (isPartial && !args.quiet) await warn(`the command failed; what it wrote is sealed in ${args.ENC}`);
    return end(args, result);
  },
});

type Arguments = ArgumentsCamelCase<ReturnType<typeof options> extends Argv<infer T> ? T : never>;

function options(yargs: Argv<CommonOptions>) {
  return withJson(
    withLazyOptions(
      withLeaseOptions(
        withNewImageOptions(
          withServingOptions(
            withEphemeralOption(withWriteOption(withSignatureDemand(withImageId(withKeyOptions(withSource(yargs)))))),
          ),
        ),
      ),
    ),
  )
    .option('private', {
      type: 'boolean',
      default: false,
      describe: 'Run the command in the mount namespace of the mount, where {} is an ordinary path',
    })
    .option('lazy-pages', {
      type: 'string',
      nargs: 1,
      describe: 'Bring memory while the process runs: the work directory of a criu or runc restore --lazy-pages',
    })
    .usage(
      '$0 exec <ENC> [OPTIONS] -- COMMAND [ARGUMENT...]\n\n' +
        'Run a command with an image mounted for it alone. {} in the command stands for the mount. ' +
        'With --write the image is sealed when the command has ended.',
    );
}

/**
 * Runs the command on a new image. If the command fails, what it has written is of no use: the image and its key are
 * removed again, unless another process still writes there.
 */
async function execOnNewImage(args: Arguments, exec: (imageKey: Secret) => Promise<ExecResult>): Promise<number> {
  const isKept = ({ exitCode, failure }: ExecResult): boolean => exitCode === EXIT_OK || failure?.code === 'busy';
  const [result, made] = await withNewImage(
    args,
    async (imageKey, made) => [await exec(imageKey), made] as const,
    ([ended]) => isKept(ended),
  );
  const isRemoved = !isKept(result);
  if (!args.quiet) {
    // Standard output belongs to the command.
    if (isRemoved) await warn(`the command failed; the new image ${args.ENC} is removed again`);
    else for (const line of made.announcement) await printNotice(line);
  }
  return end(args, result, isRemoved ? { isRemoved } : { keyFile: made.keyFile });
}

/**
 * Reports the result, and returns the exit code: that of the command, unless the command succeeded and sealing failed.
 * A failure to seal is reported in any case.
 */
async function end(
  { json, write }: Arguments,
  { exitCode: ofCommand, failure, imageId }: ExecResult,
  { isRemoved = false, keyFile }: { readonly isRemoved?: boolean; readonly keyFile?: string | undefined } = {},
): Promise<number> {
  const exitCode = failure !== undefined && ofCommand === EXIT_OK ? exitCodeOfExecFailure(failure) : ofCommand;
  if (failure !== undefined) await printFailure(failure, exitCode);
  if (json) {
    const sealed = failure === undefined && !isRemoved;
    await printResult({ imageId: isRemoved ? null : imageId, exitCode, write, sealed, ...omitUndefined({ keyFile }) });
  }
  return exitCode;
}

/** Returns the words after `--`. @throws CkptfsError `bad-argument` */
function commandOf(args: Record<string, unknown>): string[] {
  const words = args['--'];
  const command = Array.isArray(words) ? words.map(String) : [];
  if (command.length > 0 && command[0] !== '') return command;
  throw new CommandLineError('no command is given', { kind: 'no-command-to-run' });
}
