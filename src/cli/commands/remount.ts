import type { Argv } from 'yargs';
import { findWriter, remountSealed } from '../../serve/launch/remount.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import { withImageKey } from '../options/image-arguments.ts';
import { withKeyOptions } from '../options/key-options.ts';
import { leaseFrom, withLeaseOptions } from '../options/lease-options.ts';
import { withJson } from '../options/options.ts';
import { printJson } from '../terminal/output.ts';

export const command = defineCommand({
  examples: [['$0 remount mnt -k k', 'After a dump: sealed, and there to be restored from']],
  options: (yargs: Argv<CommonOptions>) =>
    withJson(withLeaseOptions(withKeyOptions(yargs))).positional('MNT', {
      type: 'string',
      demandOption: true,
      describe: 'Directory on which an image is mounted to be written',
    }),
  async run(args) {
    const lease = leaseFrom(args);
    const writer = await findWriter(args.MNT);
    const image = { ...args, ENC: writer.location, imageId: writer.imageId };
    // With the key in hand first: a wrong one must leave the mount as it is.
    const mounted = await withImageKey(
      image,
      async (imageKey, origin) => remountSealed(writer, await imageKey, { lease, origin }),
      { write: true, lease },
    );
    const { mountPoint, imageId, pid, logFile } = mounted;
    if (args.json) await printJson({ mountPoint, imageId, pid, logFile });
  },
});
