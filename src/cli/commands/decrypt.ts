import type { Argv } from 'yargs';
import { printable } from '../../base/printable.ts';
import { checkVacant } from '../../library/new-image.ts';
import { cancellable } from '../cancellation.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import { refuseJobs } from '../criu/refuse-jobs.ts';
import { omitUndefined } from '../omit-undefined.ts';
import { withOpenImage } from '../options/image-arguments.ts';
import { withImageArguments } from '../options/image-options.ts';
import { withJobs, withJson } from '../options/options.ts';
import { withSignatureDemand } from '../options/signature-options.ts';
import { reportLosses } from '../terminal/losses.ts';
import { print, printJson } from '../terminal/output.ts';
import { progressBar } from '../terminal/progress.ts';
import { countOf, formatBytes } from '../terminal/quantities.ts';

export const command = defineCommand({
  examples: [['$0 decrypt enc /dev/shm/ckpt -k k', 'In clear, but not on a disk']],
  options: (yargs: Argv<CommonOptions>) =>
    withJson(withJobs(withSignatureDemand(withImageArguments(yargs)))).positional('DST', {
      type: 'string',
      demandOption: true,
      describe: 'Directory for the files in clear: one that does not exist, or is empty and your own',
    }),
  run: (args) => {
    // Before anyone is asked for a passphrase.
    checkVacant(args.DST, false);
    return withOpenImage(args, async (image) => {
      if (image.format === 'criu') refuseJobs(args.jobs);
      const { imageId, files, fileBytes } = image.describe();
      const bar = progressBar('decrypting', args.quiet);
      const { losses } = await cancellable(`${args.DST} holds a part of the image in clear.`, (cancellation) =>
        image.extract(args.DST, {
          ...omitUndefined({ jobs: args.jobs }),
          onProgress: bar.update,
          ...cancellation,
        }),
      ).finally(bar.end);
      const code = await reportLosses(losses, args.quiet);
      if (args.json) await printJson({ imageId, files, fileBytes, losses });
      else if (!args.quiet)
        await print(`${countOf(files, 'file')}, ${formatBytes(fileBytes)}, in clear in ${printable(args.DST)}\n`);
      return code;
    });
  },
});
