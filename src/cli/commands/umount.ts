import type { Argv } from 'yargs';
import { unmountImage } from '../../serve/control/umount.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import { withJson } from '../options/options.ts';
import { printJson, warn } from '../terminal/output.ts';

export const command = defineCommand({
  examples: [
    ['$0 umount mnt', 'Returns when what was written is sealed and the keys are wiped'],
    ['$0 umount mnt --lazy', 'Out of sight now; it ends when it is no longer in use'],
  ],
  options: (yargs: Argv<CommonOptions>) =>
    withJson(yargs)
      .positional('MNT', { type: 'string', demandOption: true, describe: 'Directory the image is mounted on' })
      .option('lazy', {
        alias: 'l',
        type: 'boolean',
        default: false,
        describe: 'Also when it is in use: it ends when its last user ends',
      }),
  async run({ MNT, lazy, quiet, json }) {
    const { mountPoint, wiped, write, ephemeral } = await unmountImage(MNT, { lazy });
    if (json) return printJson({ mountPoint, write, ephemeral, sealed: !ephemeral && (!write || wiped), wiped });
    const becomes = ephemeral ? 'removed' : 'sealed';
    const then = write ? `the image is ${becomes} and its keys are wiped` : 'its keys are wiped';
    if (!wiped && !quiet) await warn(`the daemon still runs, because the mount is in use; ${then} when that ends`);
  },
});
