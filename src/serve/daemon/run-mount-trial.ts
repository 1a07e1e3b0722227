import { CkptfsError, toPlainError } from '../../base/errors.ts';
import { enterPrivateMountNamespace } from '../../base/linux/namespaces.ts';
import { tryMount } from '../../fuse/mount/mount-trial.ts';

/** Hides the mount from other processes if this process may. Root may in most places. */
function hide(): void {
  if (process.geteuid?.() !== 0) return;
  try {
    enterPrivateMountNamespace();
  } catch (error) {
    if (!(error instanceof CkptfsError)) throw error;
  }
}

/** Tries to mount on `directory`, and prints a MountTrial or a PlainError as JSON. */
export async function runMountTrial(directory: string): Promise<void> {
  try {
    hide();
    process.stdout.write(JSON.stringify(await tryMount(directory)));
  } catch (error) {
    process.stdout.write(JSON.stringify(toPlainError(error)));
  }
}
