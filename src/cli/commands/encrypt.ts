import type { ArgumentsCamelCase, Argv } from 'yargs';
import type { Signer } from '../../crypto/signer.ts';
import { createImage } from '../../image/create/create.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import { omitUndefined } from '../omit-undefined.ts';
import { createAndReport } from '../options/create-and-report.ts';
import { withKeys } from '../options/image-arguments.ts';
import { withKeyOptions } from '../options/key-options.ts';
import { withNewImageOptions } from '../options/new-image-options.ts';
import { withJobs, withJson } from '../options/options.ts';
import { withSigners, withSigningOptions } from '../options/signing-options.ts';

export const command = defineCommand({
  examples: [
    ['$0 encrypt ckpt new -k k', 'With a key of yours'],
    ['$0 encrypt ckpt new', 'With a new key, kept in your configuration folder; mount finds it there'],
    ['$0 encrypt --from dump new -i dump.pem -k k', 'What "criu dump --encrypt" wrote, straight into a new image'],
  ],
  options,
  run: (args) => withSigners(args, (signers) => encrypt(args, signers)),
});

type EncryptArguments = ArgumentsCamelCase<ReturnType<typeof options> extends Argv<infer T> ? T : never>;

async function encrypt(args: EncryptArguments, signers: readonly Signer[]): Promise<number> {
  const { from, SRC: source, DST: destination = source } = args;
  if (from !== undefined) {
    return (await import('../criu/encrypt-from.ts')).encryptFrom({ ...args, from, destination }, signers);
  }
  const left = `${destination} is left unfinished, ${source} untouched.`;
  const make = omitUndefined({ jobs: args.jobs });
  return withKeys(
    args,
    (keys) =>
      createAndReport({ ...args, destination, left }, keys, (options) =>
        createImage({ ...options, ...make, source, destination, skipSpecial: args.skipSpecial, signers }),
      ),
    'make',
  );
}

function options(yargs: Argv<CommonOptions>) {
  return withJson(withJobs(withSigningOptions(withNewImageOptions(withKeyOptions(yargs)))))
    .positional('SRC', {
      type: 'string',
      demandOption: true,
      describe: 'Directory to encrypt; it is only read. Left out with --from',
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
    .check(({ from, DST }) => {
      if (from !== undefined) return DST === undefined || 'with --from only the directory for the image is named';
      return DST !== undefined || 'no directory is named for the image';
    });
}
