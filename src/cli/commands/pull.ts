import type { Argv } from 'yargs';
import { pullFromRemote } from '../../library/remote-images.ts';
import { cancellable } from '../cancellation.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import { omitUndefined } from '../omit-undefined.ts';
import { withImageId } from '../options/image-options.ts';
import { withJson } from '../options/options.ts';
import { remoteOptionsOf, withRemoteOptions } from '../options/remote-options.ts';
import { print, printJson } from '../terminal/output.ts';
import { progressBar } from '../terminal/progress.ts';
import { transferText } from '../terminal/transfers.ts';

const LEFT = 'What was fetched is not fetched again: run it once more.';

export const command = defineCommand({
  examples: [
    ['$0 pull oci://localhost:5000/web:checkpoint-1 copy', 'Into a new directory; no key is needed'],
    [
      '$0 pull oci://localhost:5000/web:checkpoint-1 copy && $0 verify copy -k k',
      'With the key: every byte is what was sealed',
    ],
  ],
  options: (yargs: Argv<CommonOptions>) =>
    withJson(withRemoteOptions(withImageId(yargs)))
      .positional('URL', {
        type: 'string',
        demandOption: true,
        describe: 's3://BUCKET/PREFIX, oci://HOST/REPOSITORY:TAG or oci://HOST/REPOSITORY@sha256:DIGEST',
      })
      .positional('ENC', {
        type: 'string',
        demandOption: true,
        describe: 'New directory for the image, or one in which a pull of it was interrupted',
      }),
  async run(args) {
    const { ENC, URL: url, quiet, json } = args;
    const bar = progressBar('pulling', quiet);
    const pulled = await cancellable(LEFT, ({ signal, onCancellable }) => {
      onCancellable(true);
      const holder = `ckptfs pull, process ${process.pid}`;
      const options = { ...remoteOptionsOf(args, signal), holder, onProgress: bar.update };
      return pullFromRemote(url, ENC, { ...options, ...omitUndefined({ imageId: args.imageId }) });
    }).finally(bar.end);
    if (json) await printJson({ ...pulled, url });
    else if (!quiet) await print(transferText(pulled, 'fetched'));
  },
});
