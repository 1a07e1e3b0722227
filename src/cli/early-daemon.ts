import { STARTS_DAEMON_EARLY } from '../base/tuning.ts';
import type { DaemonProcess } from '../serve/launch/daemon-process.ts';
import { isCommandName } from './command-names.ts';

/**
 * Matches the options with which `mount` needs no background daemon, also where one is among several short options that
 * share a dash.
 */
const NEEDS_NO_DAEMON = /^-\w*[fhV]|^--(foreground|help|version|get-yargs-completions)/;

/**
 * Starts a daemon if a command line, which is not parsed yet, will probably want one: Node takes as long to start it as
 * to parse the rest and to find the key. A wrong guess costs that process, which ends with this one, and nothing else.
 */
export async function startDaemonEarly(words: readonly string[]): Promise<DaemonProcess | undefined> {
  if (!STARTS_DAEMON_EARLY) return undefined;
  if (words.find(isCommandName) !== 'mount' || words.some((word) => NEEDS_NO_DAEMON.test(word))) return undefined;
  const { DaemonProcess } = await import('../serve/launch/daemon-process.ts');
  return DaemonProcess.start(words);
}
