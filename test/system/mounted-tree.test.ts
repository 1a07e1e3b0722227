// Goal: a mounted tree has what its source has: bytes, names, metadata, holes, and in any order of reads.
// Method: common tools compare a real tree with its image, mounted by each transport.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { ckptfs } from './support/ckptfs.ts';
import { clear, type Encrypted, encryptInto, mountOn } from './support/mounts.ts';
import { PATIENCE } from './support/patience.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, systemTest } from './support/requirements.ts';
import { testedTransports } from './support/transports.ts';
import { compareTrees, describeTree, makeTree, smallFiles } from './support/tree.ts';

for (const { transport, needs } of testedTransports) {
  describeIf(['root', 'fuse', ...needs], `a mounted tree, by the transport ${transport}`, () => {
    const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-tree-')));
    const source = join(base, 'source');
    const mountPoint = join(base, 'mnt');
    const plain = join(source, 'plain');
    const mounted = join(mountPoint, 'plain');
    let encrypted: Encrypted;

    beforeAll(() => {
      makeTree(source);
      encrypted = encryptInto(base, source);
      mountOn(mountPoint, encrypted, '--transport', transport);
    });
    afterAll(() => {
      ckptfs('umount', mountPoint);
      clear(mountPoint);
      fs.rmSync(base, { recursive: true });
    });

    systemTest([], 'holds the same bytes, FIFOs and sockets', () => {
      compareTrees(plain, mounted);
      const sums = runProgram('sh', '-c', `cd ${plain} && find . -type f -print0 | xargs -0 sha256sum`);
      fs.writeFileSync(join(base, 'sums'), sums);
      runProgram('sh', '-c', `cd ${mounted} && sha256sum --check --quiet --strict ${join(base, 'sums')}`);
    });

    systemTest([], 'lists thousands of files, each once, also when seeking back', () => {
      const names = fs.readdirSync(join(mounted, 'many'));
      expect(names).toHaveLength(smallFiles);
      expect(new Set(names)).toEqual(new Set(fs.readdirSync(join(plain, 'many'))));
      const script = `
import ctypes, os, sys
c = ctypes.CDLL(None, use_errno=True)
c.opendir.restype = c.readdir.restype = ctypes.c_void_p
c.telldir.restype = ctypes.c_long
d = ctypes.c_void_p(c.opendir(os.fsencode(sys.argv[1])))
def entry():
    e = c.readdir(d)
    return e and ctypes.string_at(e + 19)
seen = []
while True:
    at = c.telldir(d)
    name = entry()
    if not name: break
    seen.append((at, name))
for at, name in seen[::-97]:
    c.seekdir(d, ctypes.c_long(at))
    assert entry() == name, name
print(len(seen))`;
      expect(runProgram('/usr/bin/python3', '-c', script, join(mounted, 'many')).trim()).toBe(String(smallFiles + 2));
    });

    systemTest([], 'reads right at random, direct and cached, whole and in pieces', () => {
      const expected = fs.readFileSync(join(plain, 'pages-1.img'));
      const cached = fs.openSync(join(mounted, 'pages-1.img'), 'r');
      const direct = fs.openSync(join(mounted, 'pages-1.img'), fs.constants.O_RDONLY | fs.constants.O_DIRECT);
      for (let i = 0; i < 1500; i++) {
        const length = Math.ceil(Math.random() * (i % 10 === 0 ? 3_000_000 : 20_000));
        const offset = Math.floor(Math.random() * (expected.length + 10_000));
        const bytes = Buffer.alloc(length, 0xa5);
        const count = fs.readSync(i % 3 === 0 ? direct : cached, bytes, 0, length, offset);
        const right = expected.subarray(offset, offset + length);
        expect(count).toBe(right.length);
        expect(bytes.subarray(0, count).equals(right), `${length} bytes at ${offset}`).toBe(true);
      }
      fs.closeSync(cached);
      fs.closeSync(direct);
    });

    systemTest(['rsync'], 'gives rsync nothing to do', () => {
      const options = ['--archive', '--checksum', '--dry-run', '--itemize-changes'];
      // This transport cuts times to milliseconds, and its links to 4095 bytes are whole.
      const tolerance = transport !== 'fuse-native' ? ['--hard-links', '--xattrs'] : ['--modify-window=1'];
      expect(runProgram('rsync', ...options, ...tolerance, `${plain}/`, `${mounted}/`)).toBe('');
    });

    systemTest(['tar'], 'packs its FIFO, and does not wait for a writer', () => {
      const pack = 'set -o pipefail; tar -C "$1" --sort=name --numeric-owner -cf - . | tar -tvf - --full-time --utc';
      const packed = (directory: string): string[] =>
        runProgram('bash', '-c', pack, 'bash', directory)
          .split('\n')
          .filter((line) => /\.(fifo|socket)/.test(line));
      // tar packs each name of a FIFO as one of its own, and no sockets.
      const fifo = (name: string): unknown =>
        expect.stringMatching(`^prw--wSr-- .* 2009-02-13 23:31:30\\S* \\./${name}$`);
      expect(packed(mounted)).toEqual([fifo('a.fifo'), fifo('again.fifo')]);
      expect(packed(mounted)).toEqual(packed(plain));
    });

    if (transport === 'fuse-native') return;

    systemTest([], 'is decrypted into the same', () => {
      const clear = join(base, 'clear');
      ckptfs('decrypt', encrypted.image, clear, '--key-file', encrypted.keyFile);
      compareTrees(source, clear);
      expect(describeTree(clear)).toEqual(describeTree(source));
    });

    systemTest([], 'tells the same of every file: names, modes, owners, times, links, attributes, holes', () => {
      expect(describeTree(mountPoint)).toEqual(describeTree(source));
    });

    systemTest(['tar'], 'packs into the same archive', () => {
      const digest = (directory: string): string => {
        const options =
          '--sort=name --numeric-owner --xattrs --format=posix --pax-option=delete=atime,delete=ctime --sparse';
        const excluded = '--exclude=./odd/sparse';
        return runProgram(
          'bash',
          '-c',
          `set -o pipefail; tar -C ${directory} ${options} ${excluded} -cf - . | sha256sum`,
        );
      };
      expect(digest(mountPoint)).toBe(digest(source));
    });

    systemTest(['fio'], 'verifies under fio, several readers at once', () => {
      const image = join(base, 'fio');
      const data = join(image, 'source', 'data');
      fs.mkdirSync(join(image, 'source'), { recursive: true });
      fs.mkdirSync(join(image, 'mnt'));
      const common = ['--name=v', '--size=32m', '--bs=4k', '--verify=sha256', '--ioengine=psync', '--output=/dev/null'];
      const fill = [...common, `--filename=${data}`, '--rw=randwrite', '--do_verify=0', '--verify_state_save=0'];
      runProgram('fio', ...fill);
      const other = encryptInto(image, join(image, 'source'));
      mountOn(join(image, 'mnt'), other);
      try {
        for (const direct of ['0', '1']) {
          const read = [...common, `--filename=${join(image, 'mnt', 'data')}`, '--rw=randread', '--readonly'];
          runProgram('fio', ...read, `--direct=${direct}`, '--numjobs=4', '--thread', '--allow_file_create=0');
        }
        const corrupt = Buffer.from('x');
        const fd = fs.openSync(data, 'r+');
        fs.writeSync(fd, corrupt, 0, 1, 10_000_000);
        fs.closeSync(fd);
        // The same command does find damage where there is some.
        const plainRead = [...common, `--filename=${data}`, '--rw=randread', '--readonly'];
        expect(spawnSync('fio', plainRead, { timeout: PATIENCE }).status).not.toBe(0);
      } finally {
        ckptfs('umount', join(image, 'mnt'));
      }
    });

    systemTest([], 'can be mapped, and copied by the kernel itself', () => {
      const script = `
import mmap, os, sys
with open(sys.argv[1], 'rb') as a, open(sys.argv[2], 'rb') as b, open(sys.argv[3], 'wb+') as out:
    size = os.fstat(a.fileno()).st_size
    assert mmap.mmap(a.fileno(), 0, prot=mmap.PROT_READ)[:] == b.read()
    done = 0
    while done < size:
        done += os.sendfile(out.fileno(), a.fileno(), done, size - done)
    out.seek(0); b.seek(0)
    assert out.read() == b.read()
print('same')`;
      const names = [join(mounted, 'pages-1.img'), join(plain, 'pages-1.img'), join(base, 'copy')];
      expect(runProgram('/usr/bin/python3', '-c', script, ...names)).toBe('same\n');
    });
  });
}
