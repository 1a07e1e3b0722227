// Goal: an image that is compressed takes less room and is the same to those who read and write it.
// Method: the built commands, on what shrinks and what does not.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { filler } from '../../scripts/vectors/encode.ts';
import { ckptfs, runCkptfs } from './support/ckptfs.ts';
import { ckptfsProgram } from './support/mounts.ts';
import { PATIENCE } from './support/patience.ts';
import { runProgram } from './support/programs.ts';
import { systemTest, toolEnvironment } from './support/requirements.ts';

const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-compression-')));
const at = (...names: string[]): string => join(base, ...names);
const SIZE = 4 << 20;

beforeAll(() => {
  fs.mkdirSync(at('source'));
  fs.mkdirSync(at('mnt'));
  fs.writeFileSync(at('source', 'text'), Buffer.alloc(SIZE, 'what shrinks '));
  fs.writeFileSync(at('source', 'noise'), filler('noise', SIZE));
  ckptfs('keygen', '-o', at('key'));
});
afterAll(() => fs.rmSync(base, { recursive: true }));

/** Bytes that the objects of an image take on the disk. */
function roomOf(image: string): number {
  return Number(runProgram('du', '--summarize', '--block-size=1', join(image, 'objects')).split('\t')[0]);
}

describe('--compress', () => {
  systemTest(['root', 'fuse'], 'saves the room of what shrinks, and reads and writes give what they must', () => {
    ckptfs('encrypt', at('source'), at('enc'), '-k', at('key'), '--compress', 'zstd', '--json');
    expect(roomOf(at('enc'))).toBeLessThan(SIZE * 1.2);
    expect(ckptfs('info', at('enc'))).toMatch(/^chunk size +64 KiB\ncompression +zstd$/m);
    ckptfs('mount', at('enc'), at('mnt'), '-k', at('key'));
    runProgram('diff', '--recursive', at('source'), at('mnt'));
    ckptfs('umount', at('mnt'));
    ckptfs('mount', '--write', at('enc'), at('mnt'), '-k', at('key'));
    // A part of a compressed chunk, and a copy that is compressed.
    const fd = fs.openSync(at('mnt', 'text'), 'r+');
    fs.writeSync(fd, 'changed', 100_000);
    fs.closeSync(fd);
    fs.copyFileSync(at('source', 'text'), at('mnt', 'copy'));
    ckptfs('umount', at('mnt'));
    expect(roomOf(at('enc'))).toBeLessThan(SIZE * 1.3);
    ckptfs('verify', at('enc'), '-k', at('key'));
    ckptfs('decrypt', at('enc'), at('back'), '-k', at('key'), '--quiet');
    const expected = Buffer.alloc(SIZE, 'what shrinks ');
    expected.write('changed', 100_000);
    expect(fs.readFileSync(at('back', 'text')).equals(expected)).toBe(true);
    for (const [copy, original] of [
      ['copy', 'text'],
      ['noise', 'noise'],
    ] as const) {
      expect(fs.readFileSync(at('back', copy)).equals(fs.readFileSync(at('source', original)))).toBe(true);
    }
    ckptfs('reencrypt', at('enc'), '-k', at('key'), '-r', `file:${at('key')}`, '--compress', 'none', '--quiet');
    expect(roomOf(at('enc'))).toBeGreaterThan(3 * SIZE);
  });

  test.each(['gzip', 'zstd:', 'zstd:0', 'zstd:20', 'lz4:1', ''])('%j is refused', (how) => {
    const { status, stderr } = runCkptfs('encrypt', at('source'), at('new'), '-k', at('key'), '--compress', how);
    expect([status, fs.existsSync(at('new'))]).toEqual([2, false]);
    expect(stderr).toContain(`--compress ${how}: it is zstd, zstd:LEVEL (1 to 19), lz4, auto or none`);
  });

  test('a host without the library is told so before anything is made or mounted', () => {
    fs.mkdirSync(at('few'));
    fs.writeFileSync(at('few', 'text'), 'what shrinks '.repeat(10_000));
    ckptfs('encrypt', at('few'), at('lz4'), '-k', at('key'), '--compress', 'lz4', '--quiet');
    // The dynamic linker looks there first, and takes no other when it is no library.
    fs.mkdirSync(at('broken'));
    fs.writeFileSync(at('broken', 'liblz4.so.1'), 'no library');
    for (const words of [
      ['encrypt', at('few'), at('new'), '--compress', 'lz4'],
      ['mount', '--write', at('new'), at('mnt'), '--compress', 'lz4'],
      // In the background it has an environment of its own.
      ['mount', '--foreground', at('lz4'), at('mnt')],
      ['decrypt', at('lz4'), at('new')],
    ]) {
      const result = spawnSync(ckptfsProgram, [...words, '-k', at('key')], {
        env: { ...toolEnvironment, LD_LIBRARY_PATH: at('broken') },
        encoding: 'utf8',
        timeout: PATIENCE,
      });
      expect([words, result.status, fs.existsSync(at('new'))]).toEqual([words, 33, false]);
      expect(result.stderr).toContain('compression by lz4 needs the library liblz4.so.1');
      expect(result.stderr).toContain("the package is 'liblz4-1' on Debian");
    }
  });

  test('has no level where an image is written by and by', () => {
    const { status, stderr } = runCkptfs(
      'mount',
      '--write',
      at('new'),
      at('mnt'),
      '-k',
      at('key'),
      '--compress',
      'zstd:9',
    );
    expect([status, fs.existsSync(at('new'))]).toEqual([2, false]);
    expect(stderr).toContain('a level is for what is compressed once, by encrypt and reencrypt');
  });
});
