import type { Argv } from 'yargs';
import { type CommonOptions, defineCommand } from '../command.ts';
import { withKeyOptions } from '../options/key-options.ts';
import { withLogFormat } from '../options/log-options.ts';
import { withNewImageOptions } from '../options/new-image-options.ts';
import { withSigningOptions } from '../options/signing-options.ts';

export const command = defineCommand({
  examples: [
    [
      '$0 watch archives --into new -r host.crt --once',
      'The archives that are there; without --once, as they appear, for as long as it runs',
    ],
  ],
  options: (yargs: Argv<CommonOptions>) =>
    withLogFormat(withSigningOptions(withNewImageOptions(withKeyOptions(yargs))))
      .positional('DIR', { type: 'string', demandOption: true, describe: 'Directory in which archives appear' })
      .option('into', {
        type: 'string',
        nargs: 1,
        demandOption: true,
        describe: 'Directory for the images, which only you can write to; it is made if there is none',
      })
      .option('once', { type: 'boolean', default: false, describe: 'Take the archives that are there, and end' })
      .option('skip-special', {
        type: 'boolean',
        default: false,
        describe: 'Leave devices out instead of refusing them',
      }),
  run: async (args) => (await import('../archive/watch-archives.ts')).watchArchives(args),
});
