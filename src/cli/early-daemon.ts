import { STARTS_DAEMON_EARLY } from '../base/tuning.ts';
import type { DaemonProcess } from '../serve/launch/daemon-process.ts';
import { isCommandName } from './commands.ts';

let daemon: DaemonProcess | undefined;

/** What makes a mount stay in the foreground, or makes none, also as one of several short options behind one dash. */
const otherwise = /^-\w*[fhV]|^--(foreground|help|version|get-yargs-completions)/;

/**
 * Starts a daemon if a command line, which nobody has looked at closely yet, will probably want one: Node takes as long to start it as to
 * understand the rest and to find the key. A wrong guess costs that process, which ends with this one, and nothing else.
 */
export async function startDaemonEarly(words: readonly string[]): Promise<void> {
  if (!STARTS_DAEMON_EARLY) return;
  if (words.find(isCommandName) !== 'mount' || words.some((word) => otherwise.test(word))) return;
  const { DaemonProcess } = await import('../serve/launch/daemon-process.ts');
  daemon = DaemonProcess.start(words);
}

/** The daemon that was started, for who wants it. */
export function takeDaemon(): DaemonProcess | undefined {
  const taken = daemon;
  daemon = undefined;
  return taken;
}
