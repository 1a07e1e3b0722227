import type { Argv } from 'yargs';
import { logFormats } from '../../serve/handover/daemon-config.ts';

/** Adds the option that says how lines of a log are written. */
export function withLogFormat<T>(yargs: Argv<T>) {
  return yargs.option('log-format', {
    type: 'string',
    nargs: 1,
    choices: logFormats,
    describe: 'How lines of the log are written: text unless told; journal for a service of systemd',
  });
}
