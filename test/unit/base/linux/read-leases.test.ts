// Goal: a lease is given only where no process writes, and is lost when one wants to.
// Method: other descriptors of this process, which are those of another process to the kernel.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { holdsReadLease, takeReadLease } from '../../../../src/base/linux/read-leases.ts';

const base = fs.mkdtempSync(join(tmpdir(), 'ckptfs-lease-'));
const path = join(base, 'file');
fs.writeFileSync(path, 'text');
afterAll(() => fs.rmSync(base, { recursive: true }));

function withOpen(flags: string | number, use: (fd: number) => void): void {
  const fd = fs.openSync(path, flags);
  try {
    use(fd);
  } finally {
    fs.closeSync(fd);
  }
}

test('a file that is open to be written gets no lease, whatever its name there', () => {
  fs.linkSync(path, join(base, 'other'));
  const writer = fs.openSync(join(base, 'other'), 'a');
  withOpen('r', (fd) => expect(takeReadLease(fd)).toBe(false));
  fs.closeSync(writer);
  withOpen('r', (fd) => expect(takeReadLease(fd)).toBe(true));
});

test('who wants to write ends the lease, who reads or takes another one does not', () => {
  const { O_NONBLOCK, O_WRONLY } = fs.constants;
  withOpen('r', (fd) => {
    expect(takeReadLease(fd)).toBe(true);
    withOpen('r', (other) => expect(takeReadLease(other)).toBe(true));
    expect(holdsReadLease(fd)).toBe(true);
    expect(() => fs.openSync(path, O_WRONLY | O_NONBLOCK)).toThrow('EAGAIN');
    expect(holdsReadLease(fd)).toBe(false);
    withOpen('r', (other) => expect(takeReadLease(other)).toBe(false));
  });
  // It was given up with the descriptor.
  withOpen('r+', (fd) => expect(fs.fstatSync(fd).size).toBe(4));
});

test('there is none on what is no file', () => {
  const fd = fs.openSync(base, 'r');
  expect(() => takeReadLease(fd)).toThrow(expect.objectContaining({ syscall: 'fcntl' }));
  fs.closeSync(fd);
});
