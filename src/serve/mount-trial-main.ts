import { CkptfsError, toPlainError } from '../base/errors.ts';
import { tryMount } from '../fuse/mount-trial.ts';
import { enterPrivateMountNamespace } from './system-calls.ts';

/** The process that tries to mount: `mount-trial-main.js DIRECTORY` prints a MountTrial or a PlainError as JSON. */

/** Keeps the mount out of everybody's sight where this process may, as root does in most places. */
function hide(): void {
  if (process.geteuid?.() !== 0) return;
  try {
    enterPrivateMountNamespace();
  } catch (error) {
    if (!(error instanceof CkptfsError)) throw error;
  }
}

async function main(): Promise<void> {
  try {
    hide();
    process.stdout.write(JSON.stringify(await tryMount(process.argv[2] ?? '')));
  } catch (error) {
    process.stdout.write(JSON.stringify(toPlainError(error)));
  }
}

void main();
