import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { offHeap } from '../../../../src/crypto/off-heap.ts';

/** A directory for keys that ssh-keygen and age-keygen make. */
export class SshKeyDirectory {
  readonly path = mkdtempSync(join(tmpdir(), 'ckptfs-ssh-'));

  file(name: string): string {
    return join(this.path, name);
  }

  /** Makes `name` and `name.pub`, with few rounds of bcrypt. @param options that a space separates */
  make(name: string, options: string, passphrase = ''): void {
    const args = ['-q', '-a', '2', '-f', name, '-N', passphrase, '-C', `${name}@host`, ...options.split(' ')];
    execFileSync('ssh-keygen', args, { cwd: this.path, stdio: 'pipe' });
  }

  /** Makes keys as a host has them, in `etc/ssh`. */
  makeHostKeys(): void {
    mkdirSync(this.file('etc/ssh'), { recursive: true });
    execFileSync('ssh-keygen', ['-A', '-f', this.path], { stdio: 'pipe' });
  }

  /** Makes identities of age in one file, and returns their recipients. */
  makeAge(name: string): string {
    execFileSync('age-keygen', ['-o', name], { cwd: this.path, stdio: 'pipe' });
    return execFileSync('age-keygen', ['-y', name], { cwd: this.path, encoding: 'utf8' }).trim();
  }

  /** Returns the contents of a file off the heap. */
  read(name: string): Buffer {
    const contents = readFileSync(this.file(name));
    const copy = offHeap(contents.length);
    copy.set(contents);
    return copy;
  }

  remove(): void {
    rmSync(this.path, { recursive: true });
  }
}

/** Encodes values as SSH does (RFC 4251 §5). */
export function wireString(...values: (string | Uint8Array)[]): Buffer {
  return Buffer.concat(
    values.flatMap((value) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(value.length);
      return [length, Buffer.from(value as Uint8Array)];
    }),
  );
}
