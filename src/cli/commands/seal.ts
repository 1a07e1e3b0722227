import type { Argv } from 'yargs';
import { sealImage } from '../../library/unsealed-image.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import { withGivenKeys } from '../options/image-arguments.ts';
import { withImageArguments } from '../options/image-options.ts';
import { withJson } from '../options/options.ts';
import { withSigners, withSigningOptions } from '../options/signing-options.ts';
import { print, printJson, warn } from '../terminal/output.ts';

export const command = defineCommand({
  examples: [['$0 seal enc -k k', 'After a writer was killed, or had no room to seal']],
  options: (yargs: Argv<CommonOptions>) => withJson(withSigningOptions(withImageArguments(yargs))),
  async run(args) {
    const warnings: string[] = [];
    const sealed = await withSigners(args, (signers) =>
      withGivenKeys(args, (options) =>
        sealImage(args.ENC, { ...options, signers, onWarning: (line) => warnings.push(line) }),
      ),
    );
    if (!args.quiet) for (const warning of warnings) await warn(warning);
    if (args.json) return printJson({ imageId: sealed.imageId, warnings });
    if (!args.quiet) await print(`image ${sealed.imageId}: sealed\n`);
  },
});
