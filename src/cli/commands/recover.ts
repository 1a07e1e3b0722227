import type { Argv } from 'yargs';
import { printable } from '../../base/printable.ts';
import { recoverImage } from '../../library/unsealed-image.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import { withGivenKeys } from '../options/image-arguments.ts';
import { withImageArguments } from '../options/image-options.ts';
import { withJson } from '../options/options.ts';
import { print, printJson, warn } from '../terminal/output.ts';

export const command = defineCommand({
  examples: [['$0 recover enc -k k', 'When seal refuses: says what is lost, and keeps the rest']],
  options: (yargs: Argv<CommonOptions>) => withJson(withImageArguments(yargs)),
  async run(args) {
    const warnings: string[] = [];
    const { imageId, dropped } = await withGivenKeys(args, (options) =>
      recoverImage(args.ENC, { ...options, onWarning: (line) => warnings.push(line) }),
    );
    if (!args.quiet) for (const warning of warnings) await warn(warning);
    if (args.json) return printJson({ imageId, dropped: dropped ?? null, warnings });
    if (dropped !== undefined) {
      await print(`image ${imageId}: lost: ${printable(dropped)}\n`);
      if (!args.quiet) await print(`the rest can be sealed: ckptfs seal ${printable(args.ENC)}\n`);
    } else if (!args.quiet) await print(`image ${imageId}: nothing is lost\n`);
  },
});
