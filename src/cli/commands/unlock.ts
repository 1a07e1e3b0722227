import type { Argv } from 'yargs';
import { findLocked, unlockMount } from '../../serve/launch/key-orders.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import { withImageKey } from '../options/image-arguments.ts';
import { withKeyOptions } from '../options/key-options.ts';
import { withJson } from '../options/options.ts';
import { printJson } from '../terminal/output.ts';

export const command = defineCommand({
  examples: [['$0 unlock mnt -k k', 'What is mounted there can be read again']],
  options: (yargs: Argv<CommonOptions>) =>
    withJson(withKeyOptions(yargs)).positional('MNT', {
      type: 'string',
      demandOption: true,
      describe: 'Directory on which a locked image is mounted',
    }),
  async run(args) {
    const { location, imageId, remote } = await findLocked(args.MNT);
    const place = remote && { path: remote.directory, name: location };
    const image = { ...args, ENC: location, place, imageId };
    const { mountPoint } = await withImageKey(image, async (imageKey, origin) =>
      unlockMount(args.MNT, await imageKey, origin()),
    );
    if (args.json) await printJson({ mountPoint, locked: false });
  },
});
