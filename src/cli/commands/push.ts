import type { Argv } from 'yargs';
import { pushToRemote } from '../../library/remote-images.ts';
import { cancellable } from '../cancellation.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import { omitUndefined } from '../omit-undefined.ts';
import { withEnc, withImageId } from '../options/image-options.ts';
import { withJson } from '../options/options.ts';
import { remoteOptionsOf, withRemoteOptions } from '../options/remote-options.ts';
import { print, printJson, warn } from '../terminal/output.ts';
import { progressBar } from '../terminal/progress.ts';
import { transferText } from '../terminal/transfers.ts';

const LEFT = 'What was sent is not sent again: run it once more.';

export const command = defineCommand({
  examples: [
    ['$0 push enc oci://localhost:5000/web:checkpoint-1', 'To a registry, beside the image of the container'],
    ['$0 push enc oci://localhost:5000/web:checkpoint-1 --json', 'The same, for a program: what was missing there'],
  ],
  options: (yargs: Argv<CommonOptions>) =>
    withJson(withRemoteOptions(withImageId(withEnc(yargs))))
      .option('replace', {
        type: 'boolean',
        default: false,
        describe: 'Put it in the place of another image, or of anything else that has this name',
      })
      .option('subject', {
        type: 'string',
        nargs: 1,
        describe: 'Tag or digest, in the same repository, of the image of the container that it belongs to',
      })
      .positional('URL', {
        type: 'string',
        demandOption: true,
        describe: 's3://BUCKET/PREFIX or oci://HOST/REPOSITORY:TAG',
      }),
  async run(args) {
    const { ENC, URL: url, replace, quiet, json } = args;
    const warnings: string[] = [];
    const bar = progressBar('pushing', quiet);
    const pushed = await cancellable(LEFT, ({ signal, onCancellable }) => {
      onCancellable(true);
      const onWarning = (text: string): void => void warnings.push(text);
      const options = { ...remoteOptionsOf(args, signal), replace, onWarning, onProgress: bar.update };
      return pushToRemote(ENC, url, { ...options, ...omitUndefined({ imageId: args.imageId, subject: args.subject }) });
    }).finally(bar.end);
    if (!quiet) for (const warning of warnings) await warn(warning);
    if (json) await printJson({ ...pushed, url });
    else if (!quiet) await print(transferText(pushed, 'sent'));
  },
});
