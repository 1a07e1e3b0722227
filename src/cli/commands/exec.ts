import type { Argv } from 'yargs';
import { CkptfsError } from '../../base/errors.ts';
import { execWithMount } from '../../serve/exec.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import { withImageArguments, withImageKey } from '../image-arguments.ts';
import { present } from '../present.ts';
import { withServingOptions } from '../serving-options.ts';

export const command = defineCommand({
  examples: [
    ['$0 exec ./enc -k checkpoint.key -- criu restore -D {} -W /tmp', '{} stands for the mount'],
    [
      '$0 exec ./enc -k checkpoint.key -- grep -c secret {}/pages-1.img',
      'Exit code of the command; 125 for our own failures',
    ],
  ],
  options: (yargs: Argv<CommonOptions>) =>
    withServingOptions(withImageArguments(yargs)).usage(
      '$0 exec <ENC> [OPTIONS] -- COMMAND [ARGUMENT...]\n\n' +
        'Run a command that sees an image mounted, and nobody else does. {} in the command stands for the mount.',
    ),
  run(args) {
    const command = commandOf(args);
    return withImageKey(args, (imageKey) => {
      const { transport, workers, cacheSize, scratch } = args;
      return execWithMount({
        location: args.ENC,
        imageKey,
        command,
        scratch,
        ...present({ transport, workers, cacheSize }),
      });
    });
  },
});

/** What stands behind `--`. @throws CkptfsError `bad-argument` */
function commandOf(args: Record<string, unknown>): string[] {
  const words = args['--'];
  const command = Array.isArray(words) ? words.map(String) : [];
  if (command.length > 0 && command[0] !== '') return command;
  throw new CkptfsError('bad-argument', 'no command is given', {
    advice: 'It stands behind "--": ckptfs exec ENC -- COMMAND {}.',
  });
}
