import type { Argv } from 'yargs';
import { type CommonOptions, defineCommand } from '../command.ts';
import { print } from '../terminal/output.ts';
import { completionScripts, shells } from '../words/completion-script.ts';

export const command = defineCommand({
  examples: [['$0 completion bash >> ~/.bashrc', 'For every bash from now on']],
  options: (yargs: Argv<CommonOptions>) =>
    yargs.positional('SHELL', { choices: shells, describe: 'For which shell; that of $SHELL unless told' }),
  async run({ SHELL }) {
    const inUse = process.env['SHELL']?.endsWith('zsh') === true ? 'zsh' : 'bash';
    await print(completionScripts[SHELL ?? inUse]);
  },
});
