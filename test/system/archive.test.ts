// Goal: tar archives go into images and come out again, by any format of GNU tar, through pipes, in constant memory.
// Method: trees with everything that archives have; GNU tar makes and unpacks, and what it unpacks is compared.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  existsSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, onTestFinished } from 'vitest';
import { Random } from '../fuzz/random.ts';
import { archive, block, member } from '../support/archives.ts';
import { endOf } from './support/children.ts';
import { ckptfs, runCkptfs } from './support/ckptfs.ts';
import { until } from './support/mounts.ts';
import { inTime } from './support/patience.ts';
import { runProgram } from './support/programs.ts';
import { RawDisk } from './support/raw-disk.ts';
import { describeIf, systemTest, toolEnvironment } from './support/requirements.ts';

const program = fileURLToPath(new URL('../../bin/ckptfs', import.meta.url));
const needs = ['tar', 'zstd', 'getfattr'] as const;
/** Bytes of contents that a process may need more memory for than for a twentieth of it. */
const MEMORY_GROWTH = 64 << 20;

const FORMATS = [
  ['v7', '--format=v7'],
  ['ustar', '--format=ustar'],
  ['gnu', '--format=gnu', '--sparse', '--gzip'],
  ['pax 0.0', '--format=pax', '--xattrs', '--sparse', '--sparse-version=0.0', '--zstd'],
  ['pax 0.1', '--format=pax', '--xattrs', '--sparse', '--sparse-version=0.1'],
  ['pax 1.0', '--format=pax', '--xattrs', '--sparse', '--sparse-version=1.0', '--zstd'],
] as const;

describeIf(needs, 'archives', () => {
  const base = realpathSync(mkdtempSync(join(tmpdir(), 'ckptfs-archives-')));
  const at = (...names: readonly string[]): string => join(base, ...names);
  const key = at('key');
  beforeAll(() => ckptfs('keygen', '-o', key));
  afterAll(() => rmSync(base, { recursive: true, force: true }));

  /** Returns what a directory holds: names, types, modes, owners, times, sizes, links, attributes and contents. */
  function described(directory: string): string {
    const script = `cd "$1" && find . -mindepth 1 -printf '%P %y %m %U %G %Ts %s %l %n\\n' | LC_ALL=C sort
      getfattr --recursive --dump --no-dereference . | LC_ALL=C sort
      find . -type f -exec sha256sum {} + | LC_ALL=C sort`;
    return runProgram('sh', '-c', script, 'sh', directory);
  }

  /** Makes a tree: names of odd bytes, holes, links, attributes, times; short names only for old formats. */
  function makeTree(directory: string, random: Random, isForOldFormats: boolean): void {
    const odd = Buffer.from([0x66, 0xff, 0x0a, 0x20, 0x3d]);
    const long = isForOldFormats ? 'short' : 'long'.repeat(40);
    mkdirSync(join(directory, 'checkpoint', long), { recursive: true });
    const path = (name: string | Buffer): Buffer => Buffer.concat([Buffer.from(`${directory}/`), Buffer.from(name)]);
    for (const name of ['config.dump', odd, `checkpoint/${long}/pages-1.img`, 'checkpoint/empty', 'a', 'b']) {
      const file = path(name);
      const fd = openSync(file, 'w', random.pick([0o600, 0o644, 0o755]));
      if (name !== 'checkpoint/empty') {
        for (let count = random.below(4); count >= 0; count--) {
          writeSync(fd, random.bytes(1 + random.below(60_000)), 0, null, random.below(isForOldFormats ? 1 : 4_000_000));
        }
        if (!isForOldFormats && random.chance(2)) truncateSync(file, 4_100_000 + random.below(9000));
      }
      utimesSync(file, 5, 1_000_000_000 + random.below(1_000_000));
    }
    linkSync(path('a'), path('checkpoint/a-again'));
    symlinkSync('../../etc/passwd', path('link'));
    lutimesSync(path('link'), 5, 1_234_567_890);
    if (!isForOldFormats) {
      runProgram('mkfifo', join(directory, 'fifo'));
      runProgram('setfattr', '-n', 'user.odd=%name', '-v', 'value', join(directory, 'a'));
    }
    utimesSync(join(directory, 'checkpoint'), 5, 1_200_000_000);
  }

  for (const [index, [name, ...options]] of FORMATS.entries()) {
    systemTest([], `${name}: what is unpacked is the same before and after`, () => {
      const isOld = index < 2;
      const [tree, before, after] = [at(`${index}`, 'tree'), at(`${index}`, 'before'), at(`${index}`, 'after')];
      for (const directory of [tree, before, after]) mkdirSync(directory, { recursive: true });
      makeTree(tree, new Random(7, index), isOld);
      runProgram('tar', '-C', tree, ...options, '-cf', at(`${index}.tar`), '.');
      ckptfs('encrypt', at(`${index}.tar`), at(`${index}.enc`), '--key-file', key);
      ckptfs('export', at(`${index}.enc`), '-o', at(`${index}.back`), '--sparse', '--key-file', key);
      runProgram('tar', '-C', before, '--xattrs', '-xf', at(`${index}.tar`));
      runProgram('tar', '-C', after, '--xattrs', '-xf', at(`${index}.back`));
      expect(described(after)).toBe(described(before));
    });
  }

  const small = archive(
    member({ name: 'd/', type: '5', mode: 0o700 }),
    member({ name: 'd/inventory.img' }, 'an image file'),
  );

  /** Runs `ckptfs encrypt -` on input. */
  function encryptInput(input: Buffer, image: string, ...options: readonly string[]) {
    return spawnSync(program, ['encrypt', '-', image, '--key-file', key, ...options], { input, encoding: 'utf8' });
  }

  systemTest([], 'standard input to an image, and an image to standard output, with what is said of both', () => {
    const { status, stdout } = encryptInput(small, at('piped'), '--json', '--cipher', 'aes-256-gcm');
    expect(status).toBe(0);
    const made = { files: 1, fileBytes: 13, skipped: [], losses: [], cipher: 'aes-256-gcm' };
    expect(JSON.parse(stdout)).toMatchObject(made);
    expect(ckptfs('cat', at('piped'), 'd/inventory.img', '--key-file', key)).toBe('an image file');
    for (const compress of ['none', 'gzip', 'zstd']) {
      const words = ['export', at('piped'), '-o', '-', '--compress', compress, '--key-file', key];
      const exported = spawnSync(program, words);
      expect(exported).toMatchObject({ status: 0, stderr: Buffer.alloc(0) });
      writeFileSync(at('listed'), exported.stdout);
      expect(runProgram('tar', '-tf', at('listed'))).toBe('d/\nd/inventory.img\n');
    }
    const file = ckptfs('export', at('piped'), '--output', at('exported'), '--json', '--key-file', key);
    expect(JSON.parse(file)).toMatchObject({ files: 1, fileBytes: 13, losses: [] });
    const again = runCkptfs('export', at('piped'), '-o', at('exported'), '--key-file', key);
    expect(again).toMatchObject({ status: 4, stderr: expect.stringContaining('already exists') as string });
  });

  systemTest([], 'an archive from a named pipe', () => {
    writeFileSync(at('small.tar'), small);
    const [pipe, image] = [at('pipe'), at('of-pipe')];
    const script = 'mkfifo "$2"; cat "$1" > "$2" & "$3" encrypt "$2" "$4" --key-file "$5" -q && wait';
    runProgram('sh', '-c', script, 'sh', at('small.tar'), pipe, program, image, key);
    expect(ckptfs('cat', image, 'd/inventory.img', '--key-file', key)).toBe('an image file');
  });

  systemTest([], 'what cannot be is refused, and leaves nothing', () => {
    const outside = encryptInput(archive(member({ name: '../x' })), at('refused'));
    expect(outside).toMatchObject({
      status: 5,
      stderr: expect.stringContaining('its member "../x" has ".."') as string,
    });
    expect(encryptInput(small.subarray(0, 1000), at('refused'))).toMatchObject({ status: 5 });
    expect(encryptInput(small, at('refused'), '--key', 'stdin:')).toMatchObject({ status: 2 });
    expect(encryptInput(small, at('refused'), '--jobs', '2')).toMatchObject({ status: 2 });
    expect(encryptInput(archive(block({ name: 'null', type: '3' })), at('refused'))).toMatchObject({ status: 5 });
    expect(existsSync(at('refused'))).toBe(false);
    expect(runCkptfs('export', at('nothing'), '-o', at('no'), '--key-file', key).status).toBe(3);
    const both = runCkptfs('export', at('piped'), '-o', '-', '--json', '--key-file', key);
    expect(both.status).toBe(2);
    expect(readdirSync(base).filter((name) => name.startsWith('no'))).toEqual([]);
  });

  systemTest([], 'an export that fails leaves no file', () => {
    encryptInput(archive(member({ name: 'pages' }, Buffer.alloc(3_000_000, 'memory'))), at('damaged'));
    const objects = at('damaged', 'objects');
    for (const name of readdirSync(objects, { recursive: true, encoding: 'utf8' })) {
      const object = join(objects, name);
      const bytes = name.length > 3 ? readFileSync(object) : Buffer.alloc(0);
      if (bytes.length < 2_000_000) continue;
      bytes.writeUInt8(bytes.readUInt8(2_000_000) ^ 1, 2_000_000);
      writeFileSync(object, bytes);
    }
    const { status, stderr } = runCkptfs('export', at('damaged'), '-o', at('of-damaged'), '--key-file', key);
    expect({ status, stderr }).toEqual({ status: 23, stderr: expect.stringContaining('"pages"') as string });
    expect(readdirSync(base).filter((name) => name.includes('of-damaged'))).toEqual([]);
  });

  /** Starts to encrypt an endless file, and gives so many bytes of it. */
  async function fed(
    image: string,
    bytes: number,
  ): Promise<{ child: ChildProcess; give: (bytes: number) => Promise<void> }> {
    const child = spawn(program, ['encrypt', '-', image, '--key-file', key, '-q'], {
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    const piece = Buffer.alloc(1 << 20, 'memory of a process ');
    const { stdin } = child;
    if (stdin === null) throw new Error('no standard input');
    stdin.on('error', () => undefined);
    const write = (part: Buffer): Promise<void> =>
      inTime('the archive is read', new Promise((done) => stdin.write(part, () => done())));
    const give = async (count: number): Promise<void> => {
      for (let done = 0; done < count; done += piece.length) await write(piece);
    };
    await write(block({ name: 'pages-1.img', size: 2 ** 32 }));
    await give(bytes);
    return { child, give };
  }

  systemTest([], 'a signal ends it, and nothing stays', async () => {
    const { child } = await fed(at('interrupted'), 8 << 20);
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    child.kill('SIGTERM');
    expect(await endOf(child)).toEqual([143, null]);
    await until('it says so', () => said.includes('is as it was'));
    expect(existsSync(at('interrupted'))).toBe(false);
  });

  systemTest([], 'a kill leaves an unfinished image, which no command takes for a whole one', async () => {
    const image = at('killed');
    const { child } = await fed(image, 40 << 20);
    child.kill('SIGKILL');
    await endOf(child);
    for (const words of [['seal'], ['recover'], ['verify'], ['mount', at('nowhere')], ['info']] as const) {
      const [command, ...more] = words;
      const { status, stderr } = runCkptfs(command, image, ...more, '--key-file', key);
      expect([command, status, stderr]).toEqual([command, 21, expect.stringContaining('unfinished image')]);
    }
    expect(encryptInput(small, image)).toMatchObject({
      status: 4,
      stderr: expect.stringContaining('it has an unfinished image, which can be removed.') as string,
    });
    rmSync(image, { recursive: true });
    expect(encryptInput(small, image).status).toBe(0);
  });

  systemTest(
    ['loop'],
    'nothing of an archive from a pipe is on the disk: contents, names, targets, attributes',
    async () => {
      const memory = mkdtempSync('/dev/shm/ckptfs-archives-');
      onTestFinished(() => rmSync(memory, { recursive: true }));
      const disk = new RawDisk(memory, at('disk'));
      const word = randomBytes(12).toString('hex');
      const written = `written-in-clear-${word}`;
      const needles = {
        contents: `contents-${word}`,
        name: `name-${word}`,
        target: `target-${word}`,
        attribute: `attribute-${word}`,
      };
      try {
        const tree = join(memory, 'tree');
        mkdirSync(join(tree, needles.name), { recursive: true });
        writeFileSync(join(tree, needles.name, 'pages-1.img'), `${needles.contents}\n`.repeat(60_000));
        symlinkSync(needles.target, join(tree, 'link'));
        runProgram('setfattr', '-n', 'user.word', '-v', needles.attribute, tree);
        writeFileSync(at('disk', 'control'), written);
        // All that a program may have in mind for temporary files is on the disk.
        const place = { cwd: at('disk'), env: { ...toolEnvironment, TMPDIR: at('disk'), HOME: at('disk') } };
        const pipe = 'tar -C "$1" --xattrs $2 -c . | head --bytes="$3" | "$4" encrypt - "enc$2$3" --key-file "$5" -q';
        for (const [compression, bytes] of [
          ['', '1G'],
          ['--gzip', '1G'],
          ['--zstd', '1G'],
          ['', '1M'],
        ] as const) {
          const words = ['-c', pipe, 'sh', tree, compression, bytes, program, key];
          const { status, stderr } = spawnSync('sh', words, { ...place, encoding: 'utf8' });
          expect([compression, bytes, status, stderr]).toEqual(
            bytes === '1G' ? [compression, bytes, 0, ''] : ['', bytes, 5, expect.stringContaining('is truncated')],
          );
        }
        expect(ckptfs('ls', at('disk', 'enc--zstd1G'), '--key-file', key)).toContain(needles.name);
      } finally {
        disk.unmount();
      }
      expect(disk.holds({ ...needles, written })).toEqual({
        contents: false,
        name: false,
        target: false,
        attribute: false,
        written: true,
      });
    },
  );

  systemTest([], 'memory does not grow with the archive', async () => {
    const { child, give } = await fed(at('large'), 16 << 20);
    const peak = (): number =>
      Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) * 1024;
    const before = peak();
    await give(320 << 20);
    expect(peak() - before).toBeLessThan(MEMORY_GROWTH);
    child.kill('SIGTERM');
    await endOf(child);
  });
});
