import type { ArgumentsCamelCase, Argv } from 'yargs';
import { printable } from '../../base/printable.ts';
import type { Signer } from '../../crypto/signer.ts';
import { DEFAULT_CIPHER } from '../../format/ciphers.ts';
import { checkCreation, createImage } from '../../image/create/create.ts';
import { cancellable } from '../cancellation.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import { keyMade, slotsFor } from '../new-image.ts';
import { omitUndefined } from '../omit-undefined.ts';
import type { HeldKeys } from '../options/held-keys.ts';
import { warnAbout, withKeys } from '../options/image-arguments.ts';
import { withKeyOptions } from '../options/key-options.ts';
import { withNewImageOptions } from '../options/new-image-options.ts';
import { withJobs, withJson } from '../options/options.ts';
import { withSigners, withSigningOptions } from '../options/signing-options.ts';
import { reportLosses } from '../terminal/losses.ts';
import { print, printJson, warn } from '../terminal/output.ts';
import { progressBar } from '../terminal/progress.ts';
import { countOf, formatBytes } from '../terminal/quantities.ts';

export const command = defineCommand({
  examples: [
    ['$0 encrypt ckpt new -k k', 'With a key of yours'],
    ['$0 encrypt ckpt new', 'With a new key, kept in your configuration folder; mount finds it there'],
  ],
  options,
  run: (args) =>
    withKeys(
      args,
      async (keys) => {
        await warnAbout(keys, args);
        // All that can be refused is, before anyone is asked for a passphrase.
        keys.checkForCreating(args.cipher ?? DEFAULT_CIPHER);
        checkCreation({ source: args.SRC, destination: args.DST, ...omitUndefined({ chunkSize: args.chunkSize }) });
        return withSigners(args, (signers) => encrypt(args, keys, signers));
      },
      'make',
    ),
});

async function encrypt(args: EncryptArguments, keys: HeldKeys, signers: readonly Signer[]): Promise<number> {
  await keys.prepareForCreating(args.cipher ?? DEFAULT_CIPHER);
  const cipher = args.cipher ?? DEFAULT_CIPHER;
  const bar = progressBar('encrypting', args.quiet);
  const created = await cancellable(`${args.DST} is left unfinished, ${args.SRC} untouched.`, (cancellation) =>
    createImage({
      source: args.SRC,
      destination: args.DST,
      makeSlots: slotsFor(keys),
      cipher,
      ...omitUndefined({ chunkSize: args.chunkSize, jobs: args.jobs }),
      skipSpecial: args.skipSpecial,
      signers,
      onProgress: bar.update,
      ...cancellation,
    }),
  )
    .catch((error: unknown) => {
      keys.forgetMadeDefault();
      throw error;
    })
    .finally(bar.end);
  if (!args.quiet) for (const path of created.skipped) await warn(`left out ${path}: a device`);
  const keyFile = keys.madeDefault;
  const code = await reportLosses(created.losses, args.quiet);
  if (args.json) {
    const { bytes: fileBytes, ...rest } = created;
    await printJson({ ...rest, fileBytes, cipher, ...(keyFile === undefined ? {} : { keyFile }) });
  }
  if (args.json || args.quiet) return code;
  const amount = `${countOf(created.files, 'file')}, ${formatBytes(created.bytes)}`;
  await print(`image ${created.imageId}: ${amount}, ${cipher}, in ${printable(args.DST)}\n`);
  if (keyFile !== undefined) await print(`${keyMade(keyFile)}\n`);
  return code;
}

type EncryptArguments = ArgumentsCamelCase<ReturnType<typeof options> extends Argv<infer T> ? T : never>;

function options(yargs: Argv<CommonOptions>) {
  return withJson(withJobs(withSigningOptions(withNewImageOptions(withKeyOptions(yargs)))))
    .positional('SRC', { type: 'string', demandOption: true, describe: 'Directory to encrypt; it is only read' })
    .positional('DST', {
      type: 'string',
      demandOption: true,
      describe: 'Directory for the image: one that does not exist, or is empty and your own',
    })
    .option('skip-special', {
      type: 'boolean',
      default: false,
      describe: 'Leave devices out instead of refusing them',
    });
}
