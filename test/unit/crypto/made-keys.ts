import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A directory for key files that the openssl command makes. */
export class KeyDirectory {
  readonly path = mkdtempSync(join(tmpdir(), 'ckptfs-keys-'));

  file(name: string): string {
    return join(this.path, name);
  }

  /** Runs `openssl` in the directory, with arguments that a space separates. */
  openssl(command: string, input?: Uint8Array): Buffer {
    const options = { cwd: this.path, stdio: ['pipe', 'pipe', 'pipe'] as ['pipe', 'pipe', 'pipe'], input };
    return execFileSync('openssl', command.split(' '), options);
  }

  remove(): void {
    rmSync(this.path, { recursive: true });
  }
}
