import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** Installs what the benchmark's own tests need, where it is missing, before the first of them runs. */
export function setup(): void {
  execFileSync(process.execPath, [join(import.meta.dirname, '..', 'install.js')], { stdio: 'inherit' });
}
