import type { Argv } from 'yargs';
import { serveForeground } from '../../serve/foreground.ts';
import type { MountOptions } from '../../serve/launch.ts';
import { mountImage } from '../../serve/mount.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { withImageArguments, withImageKey } from '../image-arguments.ts';
import { parseMountOptions } from '../mount-options.ts';
import { withJson } from '../options.ts';
import { printJson } from '../output.ts';
import { present } from '../present.ts';
import { withServingOptions } from '../serving-options.ts';

export const command = defineCommand({
  examples: [
    ['$0 mount ./enc /mnt/cr --key-file checkpoint.key', 'Then: criu restore -D /mnt/cr -W /tmp …'],
    ['$0 mount ./enc /mnt/cr -k checkpoint.key --scratch', 'Then: criu restore -D /mnt/cr -o restore.log …'],
    ['$0 mount ./enc /mnt/cr -o key_file=checkpoint.key,allow_other', 'As fstab says it'],
  ],
  options: (yargs: Argv<CommonOptions>) =>
    withJson(withServingOptions(withImageArguments(yargs)))
      .positional('MNT', { type: 'string', demandOption: true, describe: 'Directory to mount on' })
      .option('foreground', {
        alias: 'f',
        type: 'boolean',
        default: false,
        describe: 'Stay in the foreground and log to standard error',
      })
      .option('allow-other', { type: 'boolean', default: false, describe: 'Let other users in, root too' })
      .option('allow-root', { type: 'boolean', default: false, describe: 'Let root in' })
      .option('log-file', { type: 'string', nargs: 1, describe: 'Log of the daemon; see FILES in the manual' })
      .option('options', {
        alias: 'o',
        type: 'string',
        array: true,
        nargs: 1,
        default: [] as string[],
        describe: 'Mount options as in fstab: key_file=FILE, allow_other, scratch, …',
      }),
  run(args) {
    const { settings, rest } = parseMountOptions(args.options);
    const keyFile = [...(args.keyFile ?? []), ...(settings.keyFile ?? [])];
    const image = { ...args, keyFile, imageId: args.imageId ?? settings.imageId };
    return withImageKey(image, async (imageKey) => {
      const options: MountOptions = {
        location: args.ENC,
        mountPoint: args.MNT,
        fuseOptions: rest,
        allowOther: args.allowOther,
        allowRoot: args.allowRoot,
        scratch: args.scratch || (settings.scratch ?? false),
        ...present({
          transport: args.transport ?? settings.transport,
          workers: args.workers ?? settings.workers,
          cacheSize: args.cacheSize ?? settings.cacheSize,
        }),
      };
      if (args.foreground) return serveForeground({ ...options, imageKey: await imageKey, exitCodes });
      const log = present({ logFile: args.logFile ?? settings.logFile });
      const { mountPoint, imageId, pid, logFile } = await mountImage({ ...options, ...log, imageKey });
      if (args.json) await printJson({ mountPoint, imageId, pid, logFile });
    });
  },
});
