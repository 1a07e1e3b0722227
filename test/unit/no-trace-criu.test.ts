// Goal: after a directory that CRIU encrypted was read and closed, no key and no plaintext is left in the process.
// Method: a child process reads and checks all of one; its whole memory is searched.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { criuLayer } from '../support/criu-fixtures.ts';
import { namesInMemory } from '../support/memory.ts';

const rich = criuLayer('rich');

/** Images, and where each has 32 bytes that are in no other file as it is stored. */
const places: [name: string, offset: number][] = [
  ['files.img', 999],
  ['sk-queues.img', 1909],
  ['pipes-data.img', 5075],
  ['ghost-file-1.img', 4527],
  ['pages-3.img', 67_536],
];

const needles = new Map<string, Buffer>([
  ['token', rich.secrets.subarray(0, 32)],
  ['data key of pages', rich.secrets.subarray(32, 64)],
  ['tweak key of pages', rich.secrets.subarray(64)],
  ...places.map(([name, offset]): [string, Buffer] => {
    const plain = readFileSync(path.join(rich.plain, name));
    return [name, Buffer.from(plain.subarray(offset, offset + 32))];
  }),
]);

test('no key and no plaintext stays in memory', { timeout: 60_000 }, async () => {
  const program = fileURLToPath(new URL('no-trace-criu-child.ts', import.meta.url));
  const args = ['--expose-gc', '--import', 'tsx', program, rich.encrypted, rich.key];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const said = async () => String((await once(child.stdout, 'data'))[0]).trim();
  expect(await said()).toBe('live');
  // That the search sees keys and plaintext at all.
  expect(namesInMemory(child.pid ?? 0, needles)).toEqual(
    expect.arrayContaining(['token', 'files.img', 'sk-queues.img']),
  );
  child.stdin.write('\n');
  expect(await said()).toBe('wiped');
  expect(namesInMemory(child.pid ?? 0, needles)).toEqual([]);
  child.stdin.write('\n');
  await once(child, 'exit');
});
