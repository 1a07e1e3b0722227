import type { Argv } from 'yargs';
import { CkptfsError } from '../../base/errors.ts';
import { type CipherName, cipherNames, defaultCipher, isCipherName } from '../../format/ciphers.ts';
import { DEFAULT_CHUNK_SIZE, isChunkSize } from '../../format/geometry.ts';
import { createImage } from '../../image/create.ts';
import { cancellable } from '../cancellation.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import { warnAbout, withKeys } from '../image-arguments.ts';
import { withKeyOptions } from '../key-options.ts';
import { withJobs, withJson } from '../options.ts';
import { print, printJson, warn } from '../output.ts';
import { present } from '../present.ts';
import { progressBar } from '../progress.ts';
import { countOf, formatBytes, parseBytes } from '../quantities.ts';
import { safeText } from '../terminal-text.ts';

export const command = defineCommand({
  examples: [
    ['$0 encrypt ./ckpt ./enc --key-file checkpoint.key', 'With a key of yours'],
    ['$0 encrypt ./ckpt ./enc', 'With a new key, kept in your configuration folder; mount finds it there'],
  ],
  options: (yargs: Argv<CommonOptions>) =>
    withJson(withJobs(withKeyOptions(yargs)))
      .positional('SRC', { type: 'string', demandOption: true, describe: 'Directory to encrypt; it is only read' })
      .positional('DST', {
        type: 'string',
        demandOption: true,
        describe: 'Directory for the image: one that does not exist, or is empty and your own',
      })
      .option('cipher', {
        type: 'string',
        nargs: 1,
        choices: cipherNames,
        default: defaultCipher,
        coerce: cipherOf,
        describe: 'How contents are encrypted; all ciphers authenticate',
      })
      .option('chunk-size', {
        type: 'string',
        nargs: 1,
        default: `${DEFAULT_CHUNK_SIZE}`,
        coerce: chunkSizeOf,
        describe: 'Bytes that are authenticated together: 4K, 8K, 16K, 32K or 64K',
      })
      .option('skip-special', {
        type: 'boolean',
        default: false,
        describe: 'Leave sockets, FIFOs and devices out instead of refusing them',
      }),
  run: (args) =>
    withKeys(args, async (keys) => {
      await warnAbout(keys, args);
      const bar = progressBar('encrypting', args.quiet);
      const created = await cancellable(`${args.DST} is left unfinished, ${args.SRC} untouched.`, (signal) =>
        createImage({
          source: args.SRC,
          destination: args.DST,
          makeSlots: (imageKey, imageId) =>
            Promise.all(keys.forCreating(imageId).map((provider) => provider.wrap(imageKey))),
          cipher: args.cipher,
          chunkSize: args.chunkSize,
          ...present({ jobs: args.jobs }),
          skipSpecial: args.skipSpecial,
          onProgress: bar.update,
          signal,
        }),
      )
        .catch((error: unknown) => {
          keys.forgetMadeDefault();
          throw error;
        })
        .finally(bar.end);
      if (!args.quiet) for (const path of created.skipped) await warn(`left out ${path}: a socket, FIFO or device`);
      const keyFile = keys.madeDefault;
      if (args.json)
        return printJson({ ...created, cipher: args.cipher, ...(keyFile === undefined ? {} : { keyFile }) });
      if (args.quiet) return;
      const amount = `${countOf(created.files, 'file')}, ${formatBytes(created.bytes)}`;
      await print(`image ${created.imageId}: ${amount}, ${args.cipher}, in ${safeText(args.DST)}\n`);
      if (keyFile !== undefined) await print(`key made: ${safeText(keyFile)} (keep a copy of it elsewhere)\n`);
    }),
});

function cipherOf(name: string): CipherName {
  if (isCipherName(name)) return name;
  const reason = /^aes-?192/i.test(name) ? 'XTS is not defined for AES-192' : 'this cipher is not known';
  throw new CkptfsError('bad-argument', `--cipher ${name}: ${reason}; it is one of ${cipherNames.join(', ')}`);
}

function chunkSizeOf(text: string): number {
  const bytes = parseBytes(text);
  if (bytes !== undefined && isChunkSize(bytes)) return bytes;
  throw new CkptfsError('bad-argument', `chunk size ${text}: it is a power of two from 4K to 64K`);
}
