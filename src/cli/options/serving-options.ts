import type { Argv } from 'yargs';
import { CkptfsError } from '../../base/errors.ts';
import { pageFileChoices, transports } from '../../serve/handover/daemon-config.ts';
import { workersFrom } from './mount-options.ts';
import { bytesFrom, modeFrom } from './options.ts';

/** Adds the options of mount and exec that decide how the image is served. */
export function withServingOptions<T>(yargs: Argv<T>) {
  return yargs
    .option('transport', {
      choices: transports,
      nargs: 1,
      describe: 'How to talk to the kernel; auto unless told, fuse-native is an optional package',
    })
    .option('workers', {
      type: 'string',
      nargs: 1,
      coerce: (text: string) => workersFrom('--workers', text),
      describe: 'Threads that serve; unless told one per core, at most 8; at least 4 for a URL',
    })
    .option('cache-size', {
      type: 'string',
      nargs: 1,
      coerce: (text: string) => bytesFrom('--cache-size', text),
      describe: 'Memory for what verifies, 4 KiB for each MiB that is read, such as 64M; 16M unless told',
    })
    .option('page-files', {
      choices: pageFileChoices,
      nargs: 1,
      describe: 'Read large files past the page cache; auto, the default, does so for criu',
    })
    .option('root-mode', {
      type: 'string',
      nargs: 1,
      coerce: (text: string) => modeFrom('--root-mode', text),
      describe: 'Mode of the root directory, in octal, instead of the one it has',
    })
    .option('verify', {
      type: 'boolean',
      default: false,
      describe: 'Read and check everything in the image before it is served; not with --write',
    })
    .option('allow-other', { type: 'boolean', default: false, describe: 'Let other users in, root too' })
    .option('scratch', {
      type: 'boolean',
      default: false,
      describe: 'Files made on the mount go to memory and are gone with it (root only)',
    });
}

/** Refuses to verify what is to be written. @throws CkptfsError `bad-argument` */
export function checkVerify(verify: boolean, write: boolean | undefined): void {
  if (!verify || write !== true) return;
  throw new CkptfsError('bad-argument', '--verify is for an image that is only read');
}

export function withWriteOption<T>(yargs: Argv<T>) {
  return yargs.option('write', {
    alias: 'w',
    type: 'boolean',
    default: false,
    describe: 'Let files be made and changed; makes the image if there is none; it is sealed at the end',
  });
}
