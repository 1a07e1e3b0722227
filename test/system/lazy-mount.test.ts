// Goal: an image that was pushed is mounted where it is, and what is read is fetched once, whatever fails.
// Method: the real commands against OpenStack Swift with the API of S3 and docker-registry, and a proxy that counts.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { dumpProcess, restoreProcess } from './support/checkpoints.ts';
import { endOf } from './support/children.ts';
import { buildFixture } from './support/fixtures.ts';
import { ckptfsProgram, clear, isAlive, statusOf, until } from './support/mounts.ts';
import { PATIENCE } from './support/patience.ts';
import { Registry, Swift } from './support/remote-servers.ts';
import { describeIf, systemTest } from './support/requirements.ts';
import { RoundTripProxy } from './support/round-trip-proxy.ts';
import { Terminal, type Transcript } from './support/transcript.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const BLOCK = 262_144;
const FILES = 6;

interface Server {
  readonly proxy: RoundTripProxy;
  readonly environment: NodeJS.ProcessEnv;
  readonly url: (name: string) => string;
  readonly remove: () => Promise<void>;
}

const servers: Readonly<Record<string, () => Promise<Server>>> = {
  'a bucket': async () => {
    const swift = await Swift.start();
    const proxy = await RoundTripProxy.start(Number(new URL(swift.url).port));
    const environment = { ...swift.environment, AWS_ENDPOINT_URL_S3: `http://${proxy.host}` };
    return { proxy, environment, url: (name) => `s3://${Swift.bucket}/${name}`, remove: () => swift.remove() };
  },
  'a registry': async () => {
    const registry = await Registry.start();
    const proxy = await RoundTripProxy.start(Number(registry.host.split(':')[1]));
    return {
      proxy,
      environment: {},
      url: (name) => `oci://${proxy.host}/web:${name}`,
      remove: () => registry.remove(),
    };
  },
};

function ok({ status, stdout, stderr }: Transcript): string {
  expect([status, stderr]).toEqual([0, '']);
  return stdout;
}

/** The processes of this host that fetch: those of these tests, which have a pid namespace of their own. */
function fetchers(): number[] {
  return fs.readdirSync('/proc').flatMap((name) => {
    try {
      return fs.readFileSync(`/proc/${name}/cmdline`, 'utf8').includes('/fetcher.js') && isAlive(Number(name))
        ? [Number(name)]
        : [];
    } catch {
      return [];
    }
  });
}

for (const [kind, start] of Object.entries(servers)) {
  describeIf(['root', 'fuse', kind === 'a bucket' ? 'swift' : 'dockerRegistry'], `a mount of ${kind}`, () => {
    const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-lazy-mount-')));
    const at = (name: string): string => join(base, name);
    const mnt = at('mnt');
    const terminal = new Terminal(base);
    const before = new Set(fetchers());
    let server: Server;
    let url: string;
    let size: number;
    let caches = 0;

    beforeAll(async () => {
      server = await start();
      Object.assign(terminal.environment, server.environment, { HOME: base, AWS_EC2_METADATA_DISABLED: 'true' });
      for (const name of ['src', 'mnt']) fs.mkdirSync(at(name));
      fs.writeFileSync(at('src/core-1.img'), 'core');
      for (let file = 0; file < FILES; file++)
        fs.writeFileSync(at(`src/pages-${file}.img`), Buffer.alloc(2_000_000, `pages ${file}`));
      ok(terminal.run('keygen', '-o', 'k', '-q'));
      ok(terminal.run('encrypt', 'src', 'enc', '-k', 'k', '-q'));
      url = server.url('one');
      size = JSON.parse(ok(terminal.run('push', 'enc', url, '--json'))).size;
      fs.renameSync(at('enc'), at('gone'));
    });
    afterEach(async () => {
      server.proxy.isDown = false;
      server.proxy.delay = 0;
      clear(mnt);
      await until('nothing fetches any more', () => ours().length === 0);
    });
    afterAll(async () => {
      await server.proxy.close();
      await server.remove();
      fs.rmSync(base, { recursive: true });
    });

    const ours = (): number[] => fetchers().filter((pid) => !before.has(pid));
    const freshCache = (): string[] => ['--remote-cache', at(`cache-${caches++}`)];
    const mount = (...options: string[]): string => {
      fs.rmSync(at('log'), { force: true });
      return ok(terminal.run('mount', url, mnt, '-k', 'k', '--log-file', at('log'), '--prefetch', 'none', ...options));
    };
    const isSame = (name: string, from = mnt): boolean =>
      fs.readFileSync(join(from, name)).equals(fs.readFileSync(at(`src/${name}`)));
    const counters = () => statusOf(mnt, ok(terminal.run('status', '--json')))?.daemon?.remote?.counters;
    const log = (): string => fs.readFileSync(at('log'), 'utf8');
    const failureOf = (path: string): string | undefined => {
      try {
        fs.readFileSync(path);
        return undefined;
      } catch (error) {
        return (error as NodeJS.ErrnoException).code;
      }
    };

    test('fetches what is read, the first byte of it in three round trips, and is called by its URL', async () => {
      server.proxy.reset();
      server.proxy.delay = 700;
      mount(...freshCache());
      expect(isSame('core-1.img')).toBe(true);
      expect(server.proxy.roundTrips).toBeLessThanOrEqual(3);
      server.proxy.delay = 0;
      expect(fs.readFileSync('/proc/self/mounts', 'utf8')).toContain(`${url} ${mnt} fuse.ckptfs`);
      expect(counters()?.fetchedBytes).toBeLessThan(size / 4);
      for (let file = 0; file < FILES; file++) expect(isSame(`pages-${file}.img`)).toBe(true);
      const { fetchedBytes = 0, blocks = 0, fetchedBlocks = 0 } = counters() ?? {};
      expect(fetchedBlocks).toBeLessThanOrEqual(blocks);
      expect(fetchedBytes).toBeLessThanOrEqual(size + 8 * blocks);
      expect(ok(terminal.run('status', mnt))).toMatch(new RegExp(`fetched .* ${url.replaceAll(/[.?]/g, '\\$&')}`));
      ok(terminal.run('umount', mnt));
      expect(log()).toContain(`serving ${url} (image `);
      expect(log()).not.toContain('cache-');
    });

    test('is served from a warm cache, also where something wrote garbage into that', () => {
      const cache = freshCache();
      mount(...cache);
      for (let file = 0; file < FILES; file++) expect(isSame(`pages-${file}.img`)).toBe(true);
      ok(terminal.run('umount', mnt));
      const blocks = fs
        .readdirSync(join(cache[1] ?? '', 'blocks'), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name));
      const [garbage = ''] = blocks.filter((path) => fs.statSync(path).size > BLOCK / 2);
      const handle = fs.openSync(garbage, 'r+');
      fs.writeSync(handle, Buffer.alloc(9000, 'x'), 0, 9000, 20_000);
      fs.closeSync(handle);
      mount(...cache);
      for (let file = 0; file < FILES; file++) expect(isSame(`pages-${file}.img`)).toBe(true);
      expect(counters()?.fetchedBlocks).toBeLessThanOrEqual(1);
      expect(log()).not.toContain('cannot read');
      ok(terminal.run('umount', mnt));
    });

    test('fails reads while the store is down, and goes on when it is back', async () => {
      mount(...freshCache(), '--remote-timeout', '1');
      expect(isSame('core-1.img')).toBe(true);
      server.proxy.isDown = true;
      expect(failureOf(join(mnt, 'pages-5.img'))).toBe('EIO');
      await until('the log says why', () => /cannot read "pages-5.img": /.test(log()));
      server.proxy.isDown = false;
      await until('the store is asked again', () => failureOf(join(mnt, 'pages-5.img')) === undefined);
      expect(isSame('pages-5.img')).toBe(true);
      ok(terminal.run('umount', mnt));
    });

    test('fails reads when what fetches is killed, but for what is in the cache', async () => {
      mount(...freshCache());
      expect(isSame('core-1.img')).toBe(true);
      for (const pid of ours()) process.kill(pid, 'SIGKILL');
      await until('it is gone', () => ours().length === 0);
      expect(failureOf(join(mnt, 'pages-5.img'))).toBe('EIO');
      const lines = (): string[] =>
        log()
          .split('\n')
          .filter((line) => line.includes('cannot read "pages-5.img"'));
      await until('the log has the read', () => lines().length > 0);
      expect(lines()).toHaveLength(1);
      await until('the log says why', () => log().includes(`${url}: the process that fetches it has ended;`));
      expect(isSame('core-1.img')).toBe(true);
      expect(ok(terminal.run('status', mnt))).toContain('fetches nothing any more');
      ok(terminal.run('umount', mnt));
    });

    test('leaves nothing where it cannot be made, and names the URL', async () => {
      const refused = (...words: string[]): string => {
        const { status, stderr } = terminal.run(...words, ...freshCache());
        expect(status).not.toBe(0);
        return stderr;
      };
      ok(terminal.run('keygen', '-o', 'other', '-q'));
      expect(refused('mount', url, mnt, '-k', 'other')).toMatch(/^ckptfs: (?!.*cache-)/);
      expect(refused('mount', url, mnt, '-k', 'k', '--image-id', '0'.repeat(32))).toContain(`${url} has image`);
      expect(refused('mount', server.url('none'), mnt, '-k', 'k')).toContain(
        `${server.url('none')}: there is no image`,
      );
      expect(refused('mount', url, at('nowhere'), '-k', 'k')).toContain('nowhere');
      expect(refused('mount', url, mnt, '-k', 'k', '--write')).toContain('it is only read');
      expect(refused('mount', url, mnt, '-k', 'k', '--verify')).toContain('pull it');
      expect(refused('mount', 'gone', mnt, '-k', 'k')).toContain('--remote-cache is for an image in a remote store');
      await until('nothing fetches any more', () => ours().length === 0);
    });

    if (kind === 'a bucket') return;

    test('is locked and unlocked, and demands signatures', () => {
      ok(terminal.shell('openssl req -x509 -newkey ed25519 -nodes -keyout s.pem -out s.crt -subj /CN=us 2> /dev/null'));
      const demand = ['--require-signature', '--trusted', 's.crt'];
      const { status, stderr } = terminal.run('mount', url, mnt, '-k', 'k', ...demand, ...freshCache());
      expect([status, stderr]).toEqual([13, expect.stringContaining(url)]);
      ok(terminal.run('sign', 'gone', '-k', 'k', '--sign', 's.pem', '-q'));
      ok(terminal.run('push', 'gone', url, '--replace', '-q'));
      mount(...freshCache(), ...demand, '--audit-log', at('audit'));
      ok(terminal.run('lock', mnt));
      expect(failureOf(join(mnt, 'core-1.img'))).toBe('EIO');
      ok(terminal.run('unlock', mnt, '-k', 'k'));
      expect(isSame('core-1.img')).toBe(true);
      ok(terminal.run('umount', mnt));
      expect(fs.readFileSync(at('audit'), 'utf8')).toContain(`"image":"${url}"`);
      expect(fs.readFileSync(at('audit'), 'utf8')).not.toContain('cache-');
    });

    test('keeps no process that reads, and can be unmounted, while all of its threads wait', async () => {
      mount(...freshCache(), '--workers', '1');
      for (const pid of ours()) process.kill(pid, 'SIGSTOP');
      const reader = spawn('cat', [join(mnt, 'pages-1.img')], { stdio: 'ignore' });
      const ended = endOf(reader);
      await until('it waits', () => / D /.test(fs.readFileSync(`/proc/${reader.pid}/stat`, 'latin1')));
      reader.kill('SIGKILL');
      expect(await ended).toEqual([null, 'SIGKILL']);
      ok(terminal.run('umount', mnt));
      for (const pid of ours()) process.kill(pid, 'SIGCONT');
    });

    test('is made by exec and in the foreground', async () => {
      const exec = terminal.run('exec', url, '-k', 'k', ...freshCache(), '--', 'cat', '{}/core-1.img');
      expect(exec).toEqual({ status: 0, stdout: 'core', stderr: '' });
      const options = { cwd: base, env: terminal.environment, stdio: 'ignore' } as const;
      const child: ChildProcess = spawn(ckptfsProgram, ['mount', '-f', url, mnt, '-k', 'k', ...freshCache()], options);
      await until('it serves', () => fs.readFileSync('/proc/self/mounts', 'utf8').includes(` ${mnt} `));
      await until('it can be read', () => failureOf(join(mnt, 'core-1.img')) === undefined);
      expect(isSame('pages-3.img')).toBe(true);
      child.kill('SIGTERM');
      expect(await endOf(child)).toEqual([0, null]);
    });

    test('is made by the library, as its page says', () => {
      const [, example = ''] =
        /\n\n((?: {4}.*\n)+)\n## All exports/.exec(fs.readFileSync(join(root, 'docs/library.md'), 'utf8')) ?? [];
      const named = {
        'oci://registry.example/web:1': url,
        '/var/cache/ckptfs': at('cache-of-library'),
        "'mnt'": `'${mnt}'`,
      };
      const typed = Object.entries(named).reduce((text, [name, here]) => text.replace(name, here), example);
      const program = `
        import fs from 'node:fs';
        import { mountImage, readKeyFile, symmetricKeyProvider, unlockImage, withFetcher } from 'ckptfs';
        const holder = symmetricKeyProvider(readKeyFile('${at('k')}').key);
        ${typed}
        process.stdout.write(fs.readFileSync('${mnt}/core-1.img', 'utf8') + mounted.mountPoint);
        await mounted.unmount();`;
      const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-'], {
        ...{ cwd: root, env: terminal.environment, input: program, encoding: 'utf8', timeout: PATIENCE },
      });
      expect([status, stdout, stderr]).toEqual([0, `core${mnt}`, '']);
    });

    test('costs one fetch of each block, however many mounts read it at once', async () => {
      const cache = freshCache();
      const mounts = Array.from({ length: 8 }, (_, number) => at(`mnt-${number}`));
      const options = ['-k', 'k', '--workers', '1', '--prefetch', 'none', ...cache];
      for (const directory of mounts) fs.mkdirSync(directory);
      server.proxy.reset();
      try {
        ok(
          terminal.shell(`${mounts.map((to) => `ckptfs mount ${url} ${to} ${options.join(' ')} &`).join('\n')}\nwait`),
        );
        ok(terminal.shell(`${mounts.map((from) => `cmp ${from}/pages-1.img src/pages-1.img &`).join('\n')}\nwait`));
        const ranges = (await server.proxy.requests()).flatMap(({ path, range }) => {
          const [, start, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
          return start === undefined ? [] : [{ path, start: Number(start), last: Number(last) }];
        });
        ranges.sort((one, other) =>
          one.path === other.path ? one.start - other.start : one.path < other.path ? -1 : 1,
        );
        const again = ranges.filter(({ path, start }, at) => {
          const before = ranges[at - 1];
          return before?.path === path && before.last >= start;
        });
        expect([ranges.length > 0, again]).toEqual([true, []]);
      } finally {
        for (const directory of mounts) terminal.run('umount', directory);
      }
    });

    systemTest(['criu', 'namespaces', 'gcc'], 'restores a process, and knows then what a restore reads', async () => {
      const stateFile = at('state');
      const command = buildFixture('counter', { directory: base, stateFile, mebibytes: 24 });
      const checkpoint = await dumpProcess(command, { images: at('images'), work: at('work'), stateFile });
      ok(terminal.run('encrypt', 'images', 'dump', '-k', 'k', '-q'));
      const dumpUrl = server.url('dump');
      ok(terminal.run('push', 'dump', dumpUrl, '-q'));
      fs.rmSync(at('dump'), { recursive: true });
      const restore = async (...options: string[]): Promise<void> => {
        ok(terminal.run('mount', dumpUrl, mnt, '-k', 'k', ...options));
        const restored = await restoreProcess(checkpoint, mnt, { work: at('work') });
        try {
          expect((await restored.countsOn()).damaged).toEqual([]);
        } finally {
          await restored.kill();
        }
      };
      await restore(...freshCache());
      expect(ok(terminal.run('profile', 'record', mnt))).toBe(`${dumpUrl}: profile recorded\n`);
      ok(terminal.run('profile', 'record', mnt, '--out', at('profile'), '-q'));
      expect(JSON.parse(fs.readFileSync(at('profile'), 'utf8'))).toMatchObject({ format: 'ckptfs access profile' });
      ok(terminal.run('umount', mnt));
      ok(terminal.run('mount', dumpUrl, mnt, '-k', 'k', ...freshCache()));
      await until('what the profile lists is there', () => (counters()?.fetchedBlocks ?? 0) > 0);
      ok(terminal.run('umount', mnt));
    });
  });
}
