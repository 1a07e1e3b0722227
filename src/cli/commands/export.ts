import type { Argv } from 'yargs';
import { type Compression, compressed, type WriteBytes } from '../../archive/compress.ts';
import { CkptfsError } from '../../base/errors.ts';
import { NewFile } from '../../base/linux/new-file.ts';
import { printable } from '../../base/printable.ts';
import { cancellable } from '../cancellation.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import { type OpenImage, withOpenImage } from '../options/image-arguments.ts';
import { withImageArguments } from '../options/image-options.ts';
import { withJson } from '../options/options.ts';
import { withSignatureDemand } from '../options/signature-options.ts';
import { reportLosses } from '../terminal/losses.ts';
import { print, printJson } from '../terminal/output.ts';
import { progressBar } from '../terminal/progress.ts';
import { countOf, formatBytes } from '../terminal/quantities.ts';

const STANDARD_OUTPUT = '-';
const compressions: readonly Compression[] = ['none', 'gzip', 'zstd'];

interface ExportArguments extends CommonOptions {
  readonly json: boolean;
  readonly output: string;
  readonly compress: Compression;
  readonly sparse: boolean;
}

export const command = defineCommand({
  examples: [
    ['$0 export enc -o /dev/shm/ckpt.tar -k k', 'In clear, but not on a disk'],
    ['$0 export enc -o - --compress zstd | tar -t --zstd', 'Through a pipe'],
  ],
  options: (yargs: Argv<CommonOptions>) =>
    withJson(withSignatureDemand(withImageArguments(yargs)))
      .option('output', {
        alias: 'o',
        type: 'string',
        nargs: 1,
        demandOption: true,
        describe: 'New file for the archive, which is never overwritten; - for standard output',
      })
      .option('compress', {
        type: 'string',
        nargs: 1,
        choices: compressions,
        default: 'none' as Compression,
        describe: 'How the archive is compressed',
      })
      .option('sparse', {
        type: 'boolean',
        default: false,
        describe: 'Store no holes of files (GNU sparse format 1.0); without it they are zeros in the archive',
      })
      .check(({ json, output }) => !(json && output === STANDARD_OUTPUT) || '--json needs an output that is a file'),
  run: (args) => {
    // Before anyone is asked for a passphrase.
    const output = openOutput(args.output);
    return withOpenImage(args, (image) => exportTo(output, image, args)).finally(output.close);
  },
});

interface Output {
  readonly write: WriteBytes;
  /** Makes it final. */
  readonly publish: () => void;
  /** Takes back what was not made final. */
  readonly close: () => void;
}

/** @throws CkptfsError `bad-argument` for a terminal, `exists`, `io` */
function openOutput(path: string): Output {
  if (path === STANDARD_OUTPUT) {
    if (process.stdout.isTTY) throw new CkptfsError('bad-argument', 'standard output is a terminal');
    return { write: print, publish: () => undefined, close: () => undefined };
  }
  const file = NewFile.create(path);
  return { write: async (bytes) => file.write(bytes), publish: () => file.publish(), close: () => file.close() };
}

/** Returns the exit code. */
async function exportTo({ write, publish }: Output, image: OpenImage, args: ExportArguments): Promise<number> {
  const { output, compress, sparse, quiet, json } = args;
  const { imageId, files, fileBytes } = image.describe();
  const bar = progressBar('exporting', quiet);
  const left = output === STANDARD_OUTPUT ? 'What was written is a part of an archive.' : `${output} was not made.`;
  const { losses } = await cancellable(left, ({ signal, onCancellable }) => {
    onCancellable(true);
    const archive = (give: WriteBytes) => image.writeArchive(give, { sparse, onProgress: bar.update, signal });
    return compressed(compress, write, archive, signal).finally(() => onCancellable(false));
  }).finally(bar.end);
  publish();
  const code = await reportLosses(losses, quiet);
  if (output === STANDARD_OUTPUT) return code;
  if (json) await printJson({ imageId, files, fileBytes, losses });
  else if (!quiet)
    await print(`${countOf(files, 'file')}, ${formatBytes(fileBytes)}, in clear in ${printable(output)}\n`);
  return code;
}
