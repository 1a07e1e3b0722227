// Goal: ckptfs watch takes archives when they are whole, loses none however it ends, and touches nothing else.
// Method: the built command beside writers of every kind; strace kills it at each of its calls that change a disk.
import { type ChildProcess, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { archive, member } from '../support/archives.ts';
import { endOf, kill } from './support/children.ts';
import { ckptfs, runCkptfs } from './support/ckptfs.ts';
import { ckptfsProgram, start, until } from './support/mounts.ts';
import { PATIENCE } from './support/patience.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, systemTest, toolEnvironment } from './support/requirements.ts';

const contents = archive(member({ name: 'pages.img' }, 'secret'));
const WORK = '.ckptfs-watch';

interface Line {
  readonly level: string;
  readonly message: string;
}

describeIf([], 'watch', () => {
  const keys = fs.mkdtempSync(join(tmpdir(), 'ckptfs-watch-keys-'));
  const [certificate, privateKey] = [join(keys, 'host.crt'), join(keys, 'host.pem')];
  let base: string;
  let watching: ChildProcess | undefined;
  const at = (...names: readonly string[]): string => join(base, ...names);
  const archives = (): string[] => fs.readdirSync(at('archives')).sort();
  const images = (): string[] =>
    fs
      .readdirSync(at('images'))
      .filter((name) => name !== WORK)
      .sort();

  beforeAll(() => {
    const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=host'];
    runProgram('openssl', ...request, '-keyout', privateKey, '-out', certificate);
  });
  afterAll(() => fs.rmSync(keys, { recursive: true }));
  beforeEach(() => {
    base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-watch-')));
    fs.mkdirSync(at('archives'));
  });
  afterEach(async () => {
    if (watching !== undefined) await kill(watching, 'SIGKILL');
    watching = undefined;
    fs.rmSync(base, { recursive: true });
  });

  const words = (...more: readonly string[]): string[] => {
    const options = ['--into', at('images'), '--recipient', certificate, '--log-format', 'json'];
    return ['watch', at('archives'), ...options, ...more];
  };
  const linesOf = (output: string): Line[] =>
    output
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line);
  const log = (): Line[] => linesOf(fs.readFileSync(at('log'), 'utf8'));
  const startWatching = (): ChildProcess => {
    watching = start(at('log'), ckptfsProgram, ...words());
    return watching;
  };
  const logged = (...parts: readonly string[]): Promise<void> =>
    until(`a line with ${parts.join(', ')}`, () =>
      log().some(({ message }) => parts.every((part) => message.includes(part))),
    );
  const contentOf = (image: string): string => ckptfs('cat', at('images', image), 'pages.img', '-i', privateKey);

  systemTest([], 'takes what is there and what appears, when it is whole, until it is told to end', async () => {
    fs.writeFileSync(at('archives/before.tar.gz'), gzipSync(contents));
    fs.writeFileSync(at('archives/cut.tar'), contents.subarray(0, 700));
    fs.writeFileSync(at('outside'), contents);
    fs.symlinkSync(at('outside'), at('archives/link.tar'));
    runProgram('mkfifo', at('archives/fifo.tar'));
    fs.writeFileSync(at('archives/other.log'), 'other');
    const child = startWatching();
    await logged('before.tar.gz is removed');
    for (const name of ['cut', 'fifo', 'link']) await logged(`${name}.tar`, 'stays in clear');

    fs.renameSync(at('outside'), at('archives/moved.tar'));
    await logged('moved.tar is removed');
    const writer = fs.openSync(at('archives/slow.tar'), 'w');
    fs.writeSync(writer, contents.subarray(0, 1536));
    await logged('slow.tar is still being written');
    fs.writeSync(writer, contents.subarray(1536));
    fs.closeSync(writer);
    await logged('slow.tar is removed');
    // It is looked at again, now that it has changed.
    fs.writeFileSync(at('archives/cut.tar'), contents);
    await logged('cut.tar is removed');
    expect([archives(), images()]).toEqual([
      ['fifo.tar', 'link.tar', 'other.log'],
      ['before', 'cut', 'moved', 'slow'],
    ]);
    expect(log().filter(({ level }) => level === 'error')).toHaveLength(3);
    for (const image of images()) expect(contentOf(image)).toBe('secret');
    expect(await kill(child, 'SIGTERM')).toEqual([0, null]);
    expect(fs.readdirSync(at('images', WORK))).toEqual([]);
  });

  systemTest([], 'ends when its directory is put away', async () => {
    fs.writeFileSync(at('archives/a.tar'), contents);
    const child = startWatching();
    await logged('a.tar is removed');
    fs.renameSync(at('archives'), at('elsewhere'));
    expect(await endOf(child)).toEqual([3, null]);
  });

  systemTest([], 'takes the archives that are there with --once, and says what failed', () => {
    fs.writeFileSync(at('archives/a.tar'), contents);
    expect(runCkptfs(...words('--once', '--quiet'))).toEqual({ status: 0, stdout: '', stderr: '' });
    fs.writeFileSync(at('archives/a.tar'), contents);
    fs.writeFileSync(at('archives/b.tar'), 'no archive');
    const mixed = runCkptfs(...words('--once'));
    expect(mixed.status).toBe(5);
    expect(linesOf(mixed.stderr).map(({ level }) => level)).toEqual(['info', 'error']);
    expect([archives(), images()]).toEqual([['b.tar'], ['a', 'a.2']]);
    // No room.
    fs.writeFileSync(at('archives/b.tar'), archive(member({ name: 'large' }, 'x'.repeat(200_000))));
    const limited = spawnSync('sh', ['-c', 'ulimit -f 64; exec "$@"', 'sh', ckptfsProgram, ...words('--once')], {
      env: toolEnvironment,
      encoding: 'utf8',
      timeout: PATIENCE,
    });
    expect([limited.status, linesOf(limited.stderr)]).toMatchObject([3, [{ level: 'error' }]]);
    expect([archives(), images(), fs.readdirSync(at('images', WORK))]).toEqual([['b.tar'], ['a', 'a.2'], []]);
  });

  systemTest([], 'refuses what it would refuse for each archive, and keys that can be read once only', () => {
    fs.writeFileSync(at('archives/a.tar'), contents);
    const start = ['watch', at('archives'), '--into', at('images'), '--once'];
    for (const more of [
      [],
      ['-k', '-'],
      ['--key', 'stdin:'],
      ['-r', 'fd:3'],
      ['-r', '/dev/stdin'],
      ['-i', privateKey],
    ]) {
      expect(runCkptfs(...start, ...more)).toMatchObject({ status: 2, stdout: '' });
    }
    expect(runCkptfs(...start, '-r', at('none.crt')).status).toBe(10);
    expect(runCkptfs(...start, '-r', certificate, '--sign', at('none.pem')).status).toBe(10);
    expect(runCkptfs(...start, '-r', certificate, '--sign', '/dev/fd/3').status).toBe(2);
    expect(archives()).toEqual(['a.tar']);
    expect(fs.existsSync(at('images'))).toBe(false);
  });

  systemTest(['strace'], 'loses nothing when it is killed at any call that changes a disk', () => {
    const run = (call: string, count: number): string | number | null => {
      const inject = ['-qq', '-e', `trace=${call}`, '-e', `inject=${call}:signal=SIGKILL:when=${count}`];
      const { status, signal } = spawnSync(
        'strace',
        [...inject, '-o', at('trace'), ckptfsProgram, ...words('--once')],
        {
          env: toolEnvironment,
          timeout: PATIENCE,
        },
      );
      return signal ?? status;
    };
    fs.mkdirSync(at('images'), 0o700);
    let made = 0;
    // What fsync follows is nearly always one of the others.
    for (const [call, step] of [
      ['fsync', 3],
      ['/^renameat', 1],
      ['unlinkat', 1],
    ] as const) {
      let count = 1 - step;
      for (let end: string | number | null = 'SIGKILL'; end === 'SIGKILL'; ) {
        if (archives().length === 0) {
          fs.writeFileSync(at('archives/a.tar'), contents);
          made++;
        }
        count += step;
        end = run(call, count);
        expect(end).toBe(end === 'SIGKILL' ? 'SIGKILL' : 0);
        const left = archives();
        for (const name of left) expect(fs.readFileSync(at('archives', name)).equals(contents)).toBe(true);
        expect(images().length).toBeGreaterThanOrEqual(made - left.length);
      }
      expect(count).toBeGreaterThan(2);
    }
    expect(runCkptfs(...words('--once')).status).toBe(0);
    expect([archives(), fs.readdirSync(at('images', WORK))]).toEqual([[], []]);
    expect(images()).toHaveLength(made);
    for (const image of images()) {
      expect(fs.readdirSync(at('images', image)).sort()).toEqual(['ckptfs.json', 'manifest', 'objects']);
    }
    for (const image of ['a', `a.${made}`]) expect(contentOf(image)).toBe('secret');
  });
});
