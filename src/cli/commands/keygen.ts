import type { Argv } from 'yargs';
import { CkptfsError } from '../../base/errors.ts';
import { wipe } from '../../base/wipe.ts';
import { newKeyText } from '../../keys/key-text.ts';
import { createKeyFile, type KeyBits } from '../../keys/keygen.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import { withJson } from '../options/options.ts';
import { print, printJson } from '../terminal/output.ts';

const sizes: readonly KeyBits[] = [128, 192, 256];
/** The sizes as text, which shells complete. */
const choices = sizes.map(String);

export const command = defineCommand({
  examples: [
    ['$0 keygen -o checkpoint.key', 'A 256-bit key, readable by you alone'],
    ['$0 keygen | (umask 077; cat > checkpoint.key)', 'To standard output, for another program'],
  ],
  options: (yargs: Argv<CommonOptions>) =>
    withJson(yargs)
      .option('bits', { choices, nargs: 1, default: '256', describe: 'Size of the key' })
      .option('output', {
        alias: 'o',
        type: 'string',
        nargs: 1,
        describe: 'File to make, mode 0600; never overwrites. Standard output without this option',
      }),
  async run({ bits, output, json }) {
    const size = sizes.find((known) => String(known) === bits) ?? 256;
    if (json && output === undefined) {
      throw new CkptfsError('bad-argument', '--json needs --output: the key itself is not printed as JSON');
    }
    if (output !== undefined) {
      createKeyFile(output, size);
      if (json) await printJson({ keyFile: output, bits: size });
      return;
    }
    const text = newKeyText(size);
    try {
      await print(text);
    } finally {
      wipe(text);
    }
  },
});
