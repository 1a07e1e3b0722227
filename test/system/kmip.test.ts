// Goal: every command that makes or opens an image does so with a key of a KMIP server, and each way in which that can
// fail is said. Method: PyKMIP, the real commands, and a proxy that cuts connections after any number of bytes.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CkptfsError } from '../../src/base/errors.ts';
import { Secret } from '../../src/crypto/secret.ts';
import { parseKmipAddress } from '../../src/keys/kmip/address.ts';
import { KmipClient } from '../../src/keys/kmip/client.ts';
import { openKeyService } from '../../src/keys/services/registry.ts';
import type { ServiceProvider } from '../../src/keys/services/service.ts';
import { TlsAuthority } from '../support/tls-authority.ts';
import { testContract } from '../unit/keys/services/contract.ts';
import { type Cut, CutProxy } from './support/cut-proxy.ts';
import { freePort, PyKmip } from './support/kmip.ts';
import { clear, isAlive, until } from './support/mounts.ts';
import { describeIf } from './support/requirements.ts';
import { failure as failureOf, success, Terminal, type Transcript } from './support/transcript.ts';

describeIf(['pykmip', 'fuse', 'root'], 'a KMIP server', () => {
  const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-kmip-walk-')));
  const at = (name: string): string => join(base, name);
  const terminal = new Terminal(base);
  let kms: PyKmip;
  let id: string;

  beforeAll(async () => {
    kms = await PyKmip.start();
    fs.mkdirSync(at('src'));
    fs.mkdirSync(at('mnt'));
    fs.writeFileSync(at('src/core-1.img'), 'core');
    id = await withClient((client) => client.create('fleet'));
  });
  afterAll(async () => {
    clear(at('mnt'));
    await kms.remove();
    fs.rmSync(base, { recursive: true });
  });

  async function withClient<T>(use: (client: KmipClient) => Promise<T>, port = kms.port): Promise<T> {
    const address = parseKmipAddress(`//127.0.0.1:${port}`);
    const client = new KmipClient(address, { ...kms.client, timeoutSeconds: 120 });
    try {
      return await use(client);
    } finally {
      client.close();
    }
  }

  const key = (rest = `/${id}`): string[] => ['--key', kms.address + rest, ...kms.options()];
  const open = (rest: string, port = kms.port): Promise<ServiceProvider> =>
    openKeyService(`kmip://127.0.0.1:${port}${rest}`, { ...kms.client, timeoutSeconds: 120 });

  /** Runs a command, in whose output the server is named. */
  function run(...words: string[]): Transcript {
    const { status, stdout, stderr } = terminal.run(...words);
    const named = (text: string): string =>
      text.replaceAll(kms.address, 'kmip://KMS').replaceAll(`127.0.0.1:${kms.port}`, 'KMS');
    return { status, stdout: named(stdout), stderr: named(stderr) };
  }

  /** Runs a command that must succeed, and returns its output. */
  function done(...words: string[]): string {
    const { status, stdout, stderr } = run(...words);
    expect(`${words[0]}: ${status} ${stderr}`).toBe(`${words[0]}: 0 `);
    return stdout;
  }

  describe('that encrypts', () => {
    testContract({
      kind: 'kmip',
      open: () => open(`/${id}?version=2.0`),
      openAbsent: () => open('/no-such-key'),
      secrets: [],
    });
  });

  describe('whose key is fetched', () => {
    testContract({
      kind: 'kmip',
      open: () => open('/fleet?version=1.2'),
      openAbsent: () => open('/no-such-key?use=get'),
      secrets: [],
    });
  });

  test.each(['2.0', '1.4', '1.3', '1.2'])('is spoken to in KMIP %s', async (version) => {
    const imageId = Buffer.alloc(16, 1);
    const client = new KmipClient(parseKmipAddress(`//127.0.0.1:${kms.port}?version=${version}`), kms.client);
    const made = await client.create(`key of ${version}`);
    expect(await client.find(`key of ${version}`)).toEqual([made]);
    expect(await client.attributes(made)).toEqual({
      names: [`key of ${version}`],
      state: 'active',
      algorithm: 3,
      bits: 256,
    });
    const provider = await open(`/${made}?version=${version}`);
    const slot = await provider.wrap(Secret.random(32), imageId);
    expect((await provider.unwrap([slot], imageId))?.slot).toBe(0);
    await client.revoke(made, 'superseded');
    expect((await client.attributes(made)).state).toBe('deactivated');
    await client.destroy(made);
    expect(await reasonOf(client.attributes(made))).toBe('absent');
    client.close();
    provider.wipe();
  });

  test('makes and opens an image by every command', async () => {
    done('encrypt', 'src', 'enc', ...key());
    expect(done('key', 'list', 'enc')).toMatch(new RegExp(`^1 +kmip +ckptfs-kmip .* kmip://KMS/${id}$`, 'm'));
    done('verify', 'enc', ...key(''));
    done('decrypt', 'enc', 'out', ...key('/fleet'));
    expect(fs.readFileSync(at('out/core-1.img'), 'utf8')).toBe('core');
    expect(done('exec', 'enc', ...key(), '--', 'cat', '{}/core-1.img')).toBe('core');

    done('keygen', '-o', 'file.key');
    done('encrypt', 'src', 'by-file', '-k', 'file.key');
    done('key', 'add', 'by-file', '-k', 'file.key', '-r', `${kms.address}/${id}`, ...kms.options());
    done('verify', 'by-file', ...key());
    done('reencrypt', 'by-file', 'again', '-k', 'file.key', '-r', `${kms.address}/${id}?use=get`, ...kms.options());
    expect(done('key', 'list', 'again')).toMatch(/^\d +kmip +A256KW /m);
    done('verify', 'again', ...key(`/${id}?use=get`));

    done('mount', 'enc', 'mnt', ...key());
    await kms.stop();
    // Nothing of a mount needs the server.
    expect(fs.readFileSync(at('mnt/core-1.img'), 'utf8')).toBe('core');
    done('umount', 'mnt');
    const gone = run('mount', 'enc', 'mnt', ...key());
    expect(gone).toEqual(failure(15, `kmip://KMS/${id}: KMS: no connection (ECONNREFUSED)`));
    await kms.start();

    done('mount', '--write', 'new', 'mnt', ...key());
    fs.writeFileSync(at('mnt/kept'), 'kept');
    const [mounted] = JSON.parse(done('status', '--json')) as { mountPoint: string; pid: number }[];
    const pid = mounted?.pid ?? 0;
    process.kill(pid, 'SIGKILL');
    await until('the daemon is dead', () => !isAlive(pid));
    clear(at('mnt'));
    done('recover', 'new', ...key());
    done('seal', 'new', ...key());
    expect(done('cat', 'new', 'kept', ...key())).toBe('kept');
  });

  describe('refuses', () => {
    const cat = (...words: string[]): Transcript => run('cat', 'enc', 'core-1.img', ...words);
    const as = (client: { caFile: string; certFile: string; certKeyFile: string }): string[] => [
      '--key',
      `${kms.address}/${id}`,
      ...kms.options(client),
    ];

    test('clients that it does not know, and is refused by those that do not know it', () => {
      const strangers = new TlsAuthority();
      const foreign = strangers.issue('alice', 'DNS:alice', 1, 'clientAuth');
      const refused = expect.stringContaining('it refuses the connection');
      expect(cat('--key', `${kms.address}/${id}`, '--key-ca-file', kms.client.caFile)).toMatchObject({
        status: 15,
        stderr: refused,
      });
      const stranger = { ...kms.client, certFile: foreign.certFile, certKeyFile: foreign.keyFile };
      expect(cat(...as(stranger)).status).toBe(15);
      expect(cat(...as(kms.clientNamed('late', -1))).status).toBe(15);
      expect(cat(...as({ ...kms.client, caFile: strangers.caFile }))).toMatchObject({
        status: 15,
        stderr: expect.stringContaining('its certificate is not accepted'),
      });
      strangers.remove();
    });

    test('other clients than the owner of a key', () => {
      expect(cat(...as(kms.clientNamed('bob')))).toEqual(
        failure(15, `kmip://KMS/${id}: the server does not allow it (Could not locate object: ${id})`),
      );
    });
  });

  test('of two the one that is there is used', async () => {
    const two = ['--key', `kmip://127.0.0.1:${await freePort()},127.0.0.1:${kms.port}/${id}`, ...kms.options()];
    expect(run('cat', 'enc', 'core-1.img', ...two)).toEqual(success('core'));
  });

  test('has its keys made, shown, revoked and destroyed by kms', () => {
    const act = (action: string, rest: string, ...words: string[]): Transcript =>
      run('kms', action, kms.address + rest, ...words, ...kms.options());
    const made = act('create', '', 'night shift');
    const [, number = ''] = /^key (\d+) is active: kmip:\/\/KMS\/\1\n$/.exec(made.stdout) ?? [];
    expect(made).toEqual(success(`key ${number} is active: kmip://KMS/${number}\n`));
    const shown = (state: string): string =>
      `key  name         state${' '.repeat(state.length - 5)}  algorithm  bits\n` +
      `${number.padEnd(3)}  night shift  ${state}  AES        256\n`;
    expect(act('show', '/night%20shift')).toEqual(success(shown('active')));
    expect(act('list', '').stdout).toContain(`${number.padEnd(3)}  night shift`);
    done('encrypt', 'src', 'revoked', ...key(`/${number}`));
    done('encrypt', 'src', 'by-get', ...key(`/${number}?use=get`));
    expect(act('revoke', `/${number}`, '--reason', 'superseded')).toEqual(success(`key ${number} is revoked\n`));
    expect(act('show', `/${number}`)).toEqual(success(shown('deactivated')));
    const revoked = failure(15, `kmip://KMS/${number}: the key is deactivated`);
    expect(run('cat', 'revoked', 'core-1.img', ...key(`/${number}`))).toEqual(revoked);
    expect(run('cat', 'revoked', 'core-1.img', ...key(''))).toEqual(revoked);
    // PyKMIP still gives it away.
    expect(run('cat', 'by-get', 'core-1.img', ...key(`/${number}?use=get`))).toEqual(revoked);
    expect(act('destroy', `/${number}`)).toEqual(success(`key ${number} is destroyed\n`));
    const absent = `kmip://KMS/${number}: the server has no such key (Could not locate object: ${number})`;
    expect(act('destroy', `/${number}`)).toEqual(failure(15, absent));
    expect(run('cat', 'revoked', 'core-1.img', ...key(`/${number}`))).toEqual(failure(15, absent));
    expect(act('revoke', `/${number}`)).toEqual(failure(2, 'kms revoke: no --reason is given'));
    expect(act('destroy', '')).toEqual(failure(2, 'kms destroy: no key is named: kmip://HOST/KEY'));
    expect(act('create', `/${number}`, 'x')).toEqual(failure(2, 'kms create: no key is expected: kmip://HOST'));
  });

  test('loses the key of an image that is shredded', () => {
    const number = /^key (\d+)/.exec(done('kms', 'create', kms.address, 'one image', ...kms.options()))?.[1];
    done('encrypt', 'src', 'shredded', ...key(`/${number}`));
    const { imageId } = JSON.parse(done('info', 'shredded', '--json'));
    fs.cpSync(at('shredded'), at('copy'), { recursive: true });
    const destroyed = ['--destroy-key', `${kms.address}/${number}`, ...kms.options()];
    expect(done('shred', 'shredded', '--image-id', imageId, ...destroyed)).toContain('destroyed');
    expect(run('cat', 'copy', 'core-1.img', ...key(`/${number}`))).toMatchObject({ status: 15 });
  });

  describe('that is cut off', () => {
    const imageId = Buffer.alloc(16, 2);
    const POINTS = 12;
    let proxy: CutProxy;
    beforeAll(async () => {
      proxy = await CutProxy.start(kms.port);
    });
    afterAll(() => proxy.close());

    /** Does work once without a cut, and then cut at points all over what went over the connection. */
    async function cutEverywhere(points: number, work: (cut: Cut | undefined) => Promise<void>): Promise<void> {
      await work(undefined);
      const whole = proxy.passed;
      for (const from of ['client', 'server'] as const) {
        for (let point = 0; point < points; point++) {
          const cut = { from, afterBytes: Math.floor((whole[from] * point) / points) };
          proxy.cuts = [cut];
          await work(cut);
        }
      }
    }

    test('at any byte of an opening, is asked again', async () => {
      const imageKey = Secret.random(32);
      const slot = await (await open(`/${id}`)).wrap(imageKey, imageId);
      await cutEverywhere(POINTS, async (cut) => {
        proxy.connections = 0;
        const provider = await open(`/${id}`, proxy.port);
        const opened = await provider.unwrap([slot], imageId);
        provider.wipe();
        expect([cut, opened && Buffer.from(opened.imageKey.bytes)]).toEqual([cut, Buffer.from(imageKey.bytes)]);
        expect([cut, proxy.connections]).toEqual([cut, cut === undefined ? 1 : 2]);
      });
    });

    test('at any byte of making a key, makes no second one', async () => {
      let round = 0;
      await cutEverywhere(8, async (cut) => {
        const name = `cut ${round++}`;
        const reason = await reasonOf(withClient((client) => client.create(name), proxy.port));
        expect([cut, 'unreachable', undefined]).toContain(reason);
        const made = await withClient((client) => client.find(name)).catch(() => []);
        expect([cut, made.length <= 1, reason === undefined ? made.length : 1]).toEqual([cut, true, 1]);
      });
    });

    test('again and again, is given up', async () => {
      proxy.cuts = Array.from({ length: 10 }, () => ({ from: 'server', afterBytes: 1000 }));
      proxy.connections = 0;
      const provider = await open(`/${id}`, proxy.port);
      expect(await reasonOf(provider.prepare())).toBe('unreachable');
      expect(proxy.connections).toBe(4);
      proxy.cuts = [];
    });
  });
});

/** A failure that said one sentence, without advice. */
function failure(status: number, sentence: string): Transcript {
  return failureOf(status, `${sentence}.`);
}

/** Returns the reason of a failure; undefined when there is none. */
async function reasonOf(work: Promise<unknown>): Promise<string | undefined> {
  return work.then(
    () => undefined,
    (error: CkptfsError) => (error.data as { reason?: string } | undefined)?.reason ?? error.message,
  );
}
