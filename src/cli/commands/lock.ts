import type { Argv } from 'yargs';
import { lockMount } from '../../serve/launch/key-orders.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import { withJson } from '../options/options.ts';
import { printJson } from '../terminal/output.ts';

export const command = defineCommand({
  examples: [['$0 lock mnt', 'Returns when keys and cached plaintext are wiped; the mount stays']],
  options: (yargs: Argv<CommonOptions>) =>
    withJson(yargs).positional('MNT', {
      type: 'string',
      demandOption: true,
      describe: 'Directory on which an image is mounted to be read',
    }),
  async run({ MNT, json }) {
    const { mountPoint } = await lockMount(MNT);
    if (json) await printJson({ mountPoint, locked: true });
  },
});
