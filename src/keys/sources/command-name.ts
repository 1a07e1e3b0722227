import { CkptfsError } from '../../base/errors.ts';
import { printable } from '../../base/printable.ts';

const MAX_SHOWN_COMMAND = 200;

/** Names a command in messages. @throws CkptfsError `bad-argument` for none */
export function commandName(command: string): string {
  if (command.trim() === '' || command.includes('\0'))
    throw new CkptfsError('bad-argument', 'cmd: needs a command of the shell');
  return `cmd:${printable(command, MAX_SHOWN_COMMAND)}`;
}
