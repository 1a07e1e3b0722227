import type { ArgumentsCamelCase, Argv } from 'yargs';
import { checkCreation, createImage } from '../../image/create/create.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import { omitUndefined } from '../omit-undefined.ts';
import { createAndReport } from '../options/create-and-report.ts';
import { warnAbout, withKeys } from '../options/image-arguments.ts';
import { withKeyOptions } from '../options/key-options.ts';
import { chosenCompression, withNewImageOptions } from '../options/new-image-options.ts';
import { withJobs, withJson } from '../options/options.ts';
import { withSigners, withSigningOptions } from '../options/signing-options.ts';

export const command = defineCommand({
  examples: [
    ['$0 encrypt ckpt new -k k', 'With a key of yours'],
    ['$0 encrypt ckpt new', 'With a new key, kept in your configuration folder; mount finds it there'],
    ['$0 encrypt - new -k k < checkpoint.tar.zst', 'A tar archive, also from a pipe, so that it never is on a disk'],
    ['$0 encrypt --from dump new -i dump.pem -k k', 'What "criu dump --encrypt" wrote, straight into a new image'],
  ],
  options,
  run: async (args) => {
    if (args.from !== undefined) return convert(args, args.from);
    const { SRC: source, DST: destination = source } = args;
    const { isArchive, encryptArchive } = await import('../archive/encrypt-archive.ts');
    return isArchive(source) ? encryptArchive({ ...args, source, destination }) : encrypt(args);
  },
});

type EncryptArguments = ArgumentsCamelCase<ReturnType<typeof options> extends Argv<infer T> ? T : never>;

function encrypt(args: EncryptArguments): Promise<number> {
  const { SRC: source, DST: destination = source } = args;
  return withKeys(
    args,
    async (keys) => {
      await warnAbout(keys, args);
      // All that can be refused is, before anyone is asked for a passphrase.
      keys.checkForCreating(args);
      checkCreation({
        source,
        destination,
        ...omitUndefined({ chunkSize: args.chunkSize }),
        ...chosenCompression(args.compress),
      });
      const left = `${destination} is left unfinished, ${source} untouched.`;
      const make = { source, destination, skipSpecial: args.skipSpecial, ...omitUndefined({ jobs: args.jobs }) };
      return withSigners(args, (signers) =>
        createAndReport({ ...args, destination, left }, keys, (given) => createImage({ ...given, ...make, signers })),
      );
    },
    'make',
  );
}

function convert(args: EncryptArguments, from: string): Promise<number> {
  const { SRC: source, DST: destination = source } = args;
  return withSigners(args, async (signers) => {
    const { encryptFrom } = await import('../criu/encrypt-from.ts');
    return encryptFrom({ ...args, from, destination }, signers);
  });
}

function options(yargs: Argv<CommonOptions>) {
  return withJson(withJobs(withSigningOptions(withNewImageOptions(withKeyOptions(yargs)))))
    .positional('SRC', {
      type: 'string',
      demandOption: true,
      describe: 'Directory or tar archive to encrypt, - for an archive on standard input; left out with --from',
    })
    .positional('DST', {
      type: 'string',
      describe: 'Directory for the image: one that does not exist, or is empty and your own',
    })
    .option('from', {
      type: 'string',
      nargs: 1,
      describe: 'Directory that "criu dump --encrypt" wrote, opened with --private-key or --key-dir',
    })
    .option('skip-special', {
      type: 'boolean',
      default: false,
      describe: 'Leave devices out instead of refusing them',
    })
    .check(({ from, DST, jobs, skipSpecial }) => {
      if (from !== undefined) {
        if (jobs !== undefined) return '--jobs is for a directory of image files; --from works in one thread';
        if (skipSpecial === true) return '--skip-special is for a directory of image files, not for --from';
        return DST === undefined || 'with --from only the directory for the image is named';
      }
      return DST !== undefined || 'no directory is named for the image';
    });
}
