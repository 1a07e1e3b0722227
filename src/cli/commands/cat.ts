import type { Argv } from 'yargs';
import { wipe } from '../../base/wipe.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import { withOpenImage } from '../options/image-arguments.ts';
import { withImageArguments } from '../options/image-options.ts';
import { withSignatureDemand } from '../options/signature-options.ts';
import { print } from '../terminal/output.ts';

/** Bytes read and written at once. */
const STEP = 1 << 20;

export const command = defineCommand({
  examples: [
    ['$0 cat enc inventory.img -k k | crit decode', 'One file to a program'],
    ['$0 cat enc pages-1.img | sha256sum', 'With the default key'],
  ],
  options: (yargs: Argv<CommonOptions>) =>
    withSignatureDemand(withImageArguments(yargs)).positional('FILE', {
      type: 'string',
      demandOption: true,
      describe: 'Path within the image; links are not followed',
    }),
  run: (args) =>
    withOpenImage(args, async (image) => {
      const bytes = Buffer.allocUnsafeSlow(STEP);
      try {
        for (let offset = 0; ; ) {
          const count = image.readAt(args.FILE, offset, bytes);
          if (count === 0) break;
          await print(bytes.subarray(0, count));
          offset += count;
        }
      } finally {
        wipe(bytes);
      }
    }),
});
