// Goal: an image goes to a bucket and to a registry and comes back byte for byte, whatever interrupts it, and what is
// there is listed and removed. Method: the real commands against OpenStack Swift with the API of S3 and against
// docker-registry; the contract of src/remote for both.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withRemote } from '../../src/remote/open-remote.ts';
import type { RemoteStore } from '../../src/remote/shared/remote-store.ts';
import { testRemoteStore } from '../unit/remote/contract.ts';
import { endOf } from './support/children.ts';
import { ckptfsProgram, until } from './support/mounts.ts';
import { Registry, Swift } from './support/remote-servers.ts';
import { describeIf } from './support/requirements.ts';
import { Terminal, type Transcript } from './support/transcript.ts';

/** user and passw0rd, by bcrypt. */
const USER = 'user:$2y$05$abcdefghijklmnopqrstuu9OFqWWOzfDAA/IR5v44xt6jSW30z88K';

/** What a command printed that did its work. */
function ok({ status, stdout, stderr }: Transcript): string {
  expect([status, stderr]).toEqual([0, '']);
  return stdout;
}

/** What a command said that did not. */
function refused({ status, stderr }: Transcript): string {
  expect(status).not.toBe(0);
  return stderr;
}

interface Server {
  /** The variables that a client needs. */
  readonly environment: NodeJS.ProcessEnv;
  /** The address of an image of this name. */
  readonly url: (name: string) => string;
  /** The address that all images are below. */
  readonly all: string;
  readonly remove: () => Promise<void>;
}

const servers: Readonly<Record<string, () => Promise<Server>>> = {
  'a bucket': async () => {
    const swift = await Swift.start();
    const all = `s3://${Swift.bucket}`;
    return {
      environment: swift.environment,
      all,
      url: (name) => `${all}/of host/${name}`,
      remove: () => swift.remove(),
    };
  },
  'a registry': async () => {
    const registry = await Registry.start();
    const all = `oci://${registry.host}/web/shop`;
    return { environment: {}, all, url: (name) => `${all}:${name}`, remove: () => registry.remove() };
  },
};

for (const [kind, start] of Object.entries(servers)) {
  describeIf(kind === 'a bucket' ? ['swift'] : ['dockerRegistry'], kind, () => {
    const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-remote-')));
    const at = (name: string): string => join(base, name);
    const terminal = new Terminal(base);
    let server: Server;
    let numbered = 0;

    beforeAll(async () => {
      server = await start();
      Object.assign(terminal.environment, server.environment, { HOME: base, AWS_EC2_METADATA_DISABLED: 'true' });
      fs.mkdirSync(at('src'));
      fs.writeFileSync(at('src/core-1.img'), 'core');
      fs.writeFileSync(at('src/pages-1.img'), Buffer.alloc(300_000, 'pages'));
      fs.writeFileSync(at('src/pages-2.img'), Buffer.alloc(900_000, 'others'));
      ok(terminal.run('keygen', '-o', 'k', '-q'));
      ok(terminal.run('encrypt', 'src', 'enc', '-k', 'k', '-q'));
    });
    afterAll(async () => {
      await server.remove();
      fs.rmSync(base, { recursive: true });
    });

    const same = (one: string, other: string): string => ok(terminal.shell(`diff -r ${one} ${other}`));

    const use = async (url: string, body: (store: RemoteStore) => Promise<void>): Promise<void> => {
      const options = { jobs: 2, signal: new AbortController().signal, timeoutSeconds: 600 };
      const environment = { ...server.environment, AWS_EC2_METADATA_DISABLED: 'true', HOME: base };
      await withRemote(url, { ...options, environment }, body);
    };

    testRemoteStore(kind, (body) => use(server.url(`contract-${numbered++}`), body));

    test('has an image that comes back byte for byte, and is sent once', () => {
      const url = server.url('one');
      expect(ok(terminal.run('push', 'enc', url))).toMatch(/; sent 1\.\d MiB in 6 parts\n$/);
      expect(ok(terminal.run('push', 'enc', url))).toMatch(/; all was there\n$/);
      expect(ok(terminal.run('pull', url, 'copy'))).toMatch(/; fetched 1\.\d MiB in 5 parts\n$/);
      same('enc', 'copy');
      expect(ok(terminal.run('verify', 'copy', '-k', 'k'))).toMatch(/^intact/);
      expect(refused(terminal.run('pull', url, 'copy'))).toContain('exists and is not empty');
    });

    test('has another image in its place only where that is wanted', () => {
      const url = server.url('replaced');
      ok(terminal.run('push', 'enc', url, '-q'));
      ok(terminal.run('encrypt', 'src', 'other', '-k', 'k', '-q'));
      expect(refused(terminal.run('push', 'other', url))).toMatch(
        /another image, [0-9a-f]{32}, is there\. .*--replace/,
      );
      ok(terminal.run('push', 'other', url, '--replace', '-q'));
      ok(terminal.run('pull', url, 'replaced', '-q'));
      same('other', 'replaced');
    });

    test('lists its images, and removes one', async () => {
      const [kept, gone] = [server.url('kept'), server.url('gone')];
      for (const url of [kept, gone]) {
        ok(terminal.run('push', 'enc', url, '-q'));
        await use(url, (store) => store.writeProfile(Buffer.from('a profile, which is no image')));
      }
      const urls = (): string[] => {
        const { images } = JSON.parse(ok(terminal.run('remote', 'ls', server.all, '--json')));
        return images.map(({ url }: { url: string }) => url);
      };
      expect(urls()).toEqual(expect.arrayContaining([kept, gone]));
      expect(urls().filter((url) => url.includes('profile'))).toEqual([]);
      expect(ok(terminal.run('remote', 'ls', gone)).split('\n')).toHaveLength(3);
      ok(terminal.run('remote', 'rm', gone, '-q'));
      expect(urls()).not.toContain(gone);
      expect(urls()).toContain(kept);
      expect(refused(terminal.run('remote', 'rm', gone))).toContain('there is no image');
      expect(refused(terminal.run('pull', gone, 'nothing'))).toContain('there is no image');
      expect(fs.existsSync(at('nothing'))).toBe(false);
    });

    test('gets what a killed push left, and nothing before', async () => {
      const url = server.url('killed');
      // Killed at once, in the middle, and late; each leaves what it leaves.
      for (const milliseconds of [150, 300, 450]) {
        const child = spawn(ckptfsProgram, ['push', 'enc', url, '-j', '1'], {
          cwd: base,
          env: terminal.environment,
          stdio: 'ignore',
          detached: true,
        });
        await new Promise((resolve) => setTimeout(resolve, milliseconds));
        if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
        await endOf(child);
        const { status, stderr } = terminal.run('pull', url, 'half');
        if (status === 0) same('enc', 'half');
        else expect(stderr).toContain('there is no image');
        fs.rmSync(at('half'), { recursive: true, force: true });
      }
      ok(terminal.run('push', 'enc', url, '-q'));
      ok(terminal.run('pull', url, 'whole', '-q'));
      same('enc', 'whole');
    });

    test('is gone on with where a pull was killed, and nothing opens what that left', async () => {
      const url = server.url('pulled');
      ok(terminal.run('push', 'enc', url, '-q'));
      const child = spawn(ckptfsProgram, ['pull', url, 'begun', '-j', '1'], {
        cwd: base,
        env: terminal.environment,
        stdio: 'ignore',
        detached: true,
      });
      await until('a pull has begun', () => fs.existsSync(at('begun/objects')) || child.exitCode !== null);
      if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      await endOf(child);
      if (!fs.existsSync(at('begun/manifest'))) {
        expect(refused(terminal.run('verify', 'begun', '-k', 'k'))).toContain('unfinished');
        ok(terminal.run('pull', url, 'begun', '-q'));
      }
      same('enc', 'begun');
    });
  });
}

describeIf(['dockerRegistry'], 'a registry with users', () => {
  const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-remote-')));
  const terminal = new Terminal(base);
  let registry: Registry;

  beforeAll(async () => {
    registry = await Registry.start({ htpasswd: USER });
    Object.assign(terminal.environment, { HOME: base, REGISTRY_AUTH_FILE: join(base, 'auth.json') });
    fs.mkdirSync(join(base, 'src'));
    ok(terminal.run('keygen', '-o', 'k', '-q'));
    ok(terminal.run('encrypt', 'src', 'enc', '-k', 'k', '-q'));
  });
  afterAll(async () => {
    await registry.remove();
    fs.rmSync(base, { recursive: true });
  });

  const logIn = (password: string): void => {
    const auth = Buffer.from(`user:${password}`).toString('base64');
    fs.writeFileSync(join(base, 'auth.json'), JSON.stringify({ auths: { [registry.host]: { auth } } }));
  };

  test('lets in who is logged in, and shows no password', () => {
    const url = `oci://${registry.host}/web:1`;
    expect(refused(terminal.run('push', 'enc', url))).toContain('answers 401, and no credentials were found');
    logIn('wr0ng-passw0rd');
    const said = refused(terminal.run('push', 'enc', url, '--debug'));
    expect(said).toContain('the registry answers 401');
    expect(said).not.toContain('wr0ng');
    logIn('passw0rd');
    ok(terminal.run('push', 'enc', url, '-q'));
    ok(terminal.run('pull', url, 'copy', '-q'));
    ok(terminal.shell('diff -r enc copy'));
  });
});
