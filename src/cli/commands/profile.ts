import { writeFileSync } from 'node:fs';
import type { Argv } from 'yargs';
import { absolutePath } from '../../base/current-directory.ts';
import { ioError } from '../../base/errors.ts';
import { printable } from '../../base/printable.ts';
import { writeProfileToRemote } from '../../library/remote-images.ts';
import { recordedProfile } from '../../serve/launch/access-profile.ts';
import { cancellable } from '../cancellation.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import { withJson } from '../options/options.ts';
import { remoteOptionsOf, withRemoteOptions } from '../options/remote-options.ts';
import { print, printJson } from '../terminal/output.ts';

export const command = defineCommand({
  examples: [
    ['$0 profile record mnt', 'Beside the image, for every mount of it'],
    ['$0 profile record mnt --out profile.json', 'Into a file, for mount --prefetch profile.json'],
  ],
  options: (yargs: Argv<CommonOptions>) =>
    withJson(withRemoteOptions(yargs))
      .positional('ACTION', {
        type: 'string',
        choices: ['record'] as const,
        demandOption: true,
        describe: 'What to do',
      })
      .positional('MNT', {
        type: 'string',
        demandOption: true,
        describe: 'Directory on which an image in a bucket or a registry is mounted',
      })
      .option('out', { type: 'string', nargs: 1, describe: 'File to write, in place of a profile beside the image' }),
  async run(args) {
    const { MNT, out, json, quiet } = args;
    const { url, bytes } = await recordedProfile(MNT);
    if (out === undefined) {
      await cancellable('Another profile may be there.', ({ signal, onCancellable }) => {
        onCancellable(true);
        return writeProfileToRemote(url, bytes, remoteOptionsOf(args, signal));
      });
    } else {
      write(absolutePath(out), bytes);
    }
    if (json) await printJson({ url, ...(out === undefined ? {} : { out }) });
    else if (!quiet) await print(`${printable(out ?? url)}: profile recorded\n`);
  },
});

/** @throws CkptfsError `io` */
function write(path: string, bytes: Buffer): void {
  try {
    writeFileSync(path, bytes);
  } catch (cause) {
    throw ioError('write', path, cause);
  }
}
