import type { Argv } from 'yargs';
import type { ListedFile, ReadableImage } from '../../library/readable-image.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import { withOpenImage } from '../options/image-arguments.ts';
import { withImageArguments } from '../options/image-options.ts';
import { withJson } from '../options/options.ts';
import { withSignatureDemand } from '../options/signature-options.ts';
import { longListing, nameJson } from '../terminal/listing.ts';
import { print, printJson } from '../terminal/output.ts';

const SLASH = Buffer.from('/');
const NUL = Buffer.alloc(1);

export const command = defineCommand({
  examples: [
    ['$0 ls enc -k k', 'Long listing, like "ls -l"'],
    ['$0 ls enc -k k -R -0 | xargs -0 -n 1 echo', 'Every path as it is, for a program'],
  ],
  options: (yargs: Argv<CommonOptions>) =>
    withJson(withSignatureDemand(withImageArguments(yargs)))
      .positional('PATH', { type: 'string', describe: 'Directory or file within the image' })
      .option('recursive', { alias: 'R', type: 'boolean', default: false, describe: 'Directories in it as well' })
      .option('null', {
        alias: '0',
        type: 'boolean',
        default: false,
        describe:
          'Print paths only, as raw bytes, a NUL after each; without it, what a terminal could act on is escaped',
      })
      .check(({ json, null: raw }) => !(json && raw) || '--null and --json exclude each other'),
  run: (args) =>
    withOpenImage(args, async (image) => {
      const files = [...walk(image, Buffer.from(args.PATH ?? ''), args.recursive)];
      if (args.json) return printJson(files.map(fileJson));
      if (args.null) return print(Buffer.concat(files.flatMap(({ name }) => [name, NUL])));
      await print(longListing(files));
    }),
});

/** Lists files below a path; the names are paths from there. It does not call itself, because trees may be deep. */
function* walk(image: ReadableImage, start: Buffer, recursive: boolean): Generator<ListedFile> {
  const waiting: { readonly path: Buffer; readonly shown: Buffer }[] = [{ path: start, shown: Buffer.alloc(0) }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { path, shown } = next;
    const directories: typeof waiting = [];
    for (const file of image.list(path)) {
      const name = shown.length === 0 ? file.name : Buffer.concat([shown, SLASH, file.name]);
      yield { ...file, name };
      const isChild = recursive && file.type === 'directory';
      if (isChild) directories.push({ path: Buffer.concat([path, SLASH, file.name]), shown: name });
    }
    waiting.push(...directories.reverse());
  }
}

function fileJson({ name, target, mode, ...rest }: ListedFile): unknown {
  return {
    ...nameJson('name', name),
    ...rest,
    mode: mode.toString(8).padStart(4, '0'),
    ...(target === undefined ? {} : nameJson('target', target)),
  };
}
