import type { Argv } from 'yargs';
import { printable } from '../../base/printable.ts';
import { listRemote, removeFromRemote } from '../../library/remote-images.ts';
import { unavailable } from '../../remote/shared/faults.ts';
import { cancellable } from '../cancellation.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import { withJson } from '../options/options.ts';
import { remoteOptionsOf, withRemoteOptions } from '../options/remote-options.ts';
import { table } from '../terminal/listing.ts';
import { print, printJson } from '../terminal/output.ts';
import { formatBytes } from '../terminal/quantities.ts';

const actions = ['ls', 'rm'] as const;
const LEFT = 'What was removed until then is gone; run it once more to remove the rest.';

export const command = defineCommand({
  examples: [
    ['$0 remote ls oci://localhost:5000/web', 'The images in a repository'],
    ['$0 remote ls oci://localhost:5000/web --json', 'The same, for a program to read'],
    ['$0 remote rm oci://localhost:5000/web:checkpoint-1', 'Remove one'],
  ],
  options: (yargs: Argv<CommonOptions>) =>
    withJson(withRemoteOptions(yargs))
      .positional('ACTION', { type: 'string', choices: actions, demandOption: true, describe: 'What to do' })
      .positional('URL', {
        type: 'string',
        demandOption: true,
        describe: 's3://BUCKET[/PREFIX], oci://HOST/REPOSITORY[:TAG]; for rm all of it',
      }),
  async run(args) {
    const { ACTION, URL: url, json, quiet } = args;
    if (ACTION === 'ls') {
      const images = await cancellable('Nothing was changed.', ({ signal, onCancellable }) => {
        onCancellable(true);
        return listRemote(url, remoteOptionsOf(args, signal));
      });
      if (json) await printJson({ images });
      else await print(listing(images));
      return;
    }
    const wasThere = await cancellable(LEFT, ({ signal, onCancellable }) => {
      onCancellable(true);
      return removeFromRemote(url, remoteOptionsOf(args, signal));
    });
    if (!wasThere) throw unavailable(url, 'absent', 'there is no image');
    if (json) await printJson({ url, removed: true });
    else if (!quiet) await print(`${printable(url)}: removed\n`);
  },
});

function listing(images: Awaited<ReturnType<typeof listRemote>>): string {
  const rows = images.map(({ url, imageId, cipher, size, objects }) =>
    [url, imageId, cipher, formatBytes(size), `${objects}`].map((text) => printable(text)),
  );
  return table([['address', 'image', 'cipher', 'size', 'objects'], ...rows]);
}
