// Goal: once a source is wiped, neither what it gave nor the text of it is in the memory of the process.
// Method: a child process reads secrets from each kind of source that leaves none; its whole memory is searched.
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { bundled } from '../../../support/bundled.ts';
import { namesInMemory } from '../../../support/memory.ts';

const directory = mkdtempSync(join(tmpdir(), 'ckptfs-source-trace-'));
afterAll(() => rmSync(directory, { recursive: true }));

function file(name: string, text: string): string {
  writeFileSync(join(directory, name), text, { mode: 0o600 });
  return join(directory, name);
}

test('nothing is left of what sources gave', async () => {
  const keys = Object.fromEntries(
    ['file', 'fd', 'env', 'cmd', 'keyring'].map((name) => [name, randomBytes(32).toString('hex')]),
  ) as Record<'file' | 'fd' | 'env' | 'cmd' | 'keyring', string>;
  const passphrase = `correct-${randomBytes(12).toString('hex')}`;
  const name = `ckptfs-trace-${randomBytes(4).toString('hex')}`;
  execFileSync('keyctl', ['padd', 'user', name, '@u'], { input: keys.keyring });
  const fd = openSync(file('fd', keys.fd), 'r');
  const program = await bundled(join(import.meta.dirname, 'registry-child.ts'));
  const uris = [
    `file:${file('file', keys.file)}`,
    'fd:3',
    'env:CKPTFS_TEST_TRACE',
    `cmd:cat ${file('cmd', keys.cmd)}`,
    `keyring:${name}`,
    `passphrase:${file('passphrase', passphrase)}`,
    `passphrase:cmd:cat ${join(directory, 'passphrase')}`,
  ];
  const child = spawn(process.execPath, ['--expose-gc', program.path, ...uris], {
    env: { ...process.env, CKPTFS_TEST_TRACE: keys.env },
    stdio: ['pipe', 'pipe', 'inherit', fd],
  });
  try {
    const [said] = await once(child.stdout as NodeJS.ReadableStream, 'data');
    expect(String(said)).toBe('ready\n');
    const texts = Object.entries({ ...keys, passphrase });
    const needles = new Map([
      ...texts.map(([kind, text]) => [`text of ${kind}`, Buffer.from(text)] as const),
      ...Object.entries(keys).map(([kind, text]) => [`key of ${kind}`, Buffer.from(text, 'hex')] as const),
      ['the search itself', Buffer.from('registry-child')] as const,
    ]);
    expect(namesInMemory(child.pid as number, needles)).toEqual(['the search itself']);
  } finally {
    child.kill();
    await once(child, 'close');
    closeSync(fd);
    program.remove();
    execFileSync('keyctl', ['purge', 'user', name]);
  }
});
