// Goal: every command that makes or opens an image does so with a key provider, a transit engine and a TPM.
// Method: the real commands. The key provider is a program; the TPM is swtpm; the transit engine is a server of this
// process, which is why commands are awaited here.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SoftwareTpm } from '../support/software-tpm.ts';
import { TlsAuthority } from '../support/tls-authority.ts';
import { VaultServer } from '../support/vault-server.ts';
import { ckptfsProgram, clear, isAlive, until } from './support/mounts.ts';
import { describeIf } from './support/requirements.ts';
import { Terminal } from './support/transcript.ts';

const plugIn = fileURLToPath(new URL('../support/key-provider.mjs', import.meta.url));

describeIf(['fuse', 'root', 'swtpm'], 'a key service', () => {
  const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-key-services-')));
  const at = (name: string): string => join(base, name);
  const { environment } = new Terminal(base);
  const authority = new TlsAuthority();
  let tpm: SoftwareTpm;
  let vault: VaultServer;

  beforeAll(async () => {
    tpm = await SoftwareTpm.start();
    vault = await VaultServer.start(authority);
    vault.addKey('images');
    vault.tokens.set('hvs.hunter2', 'all');
    for (const [name, text] of Object.entries({
      token: 'hvs.hunter2\n',
      'tpm-auth': 'hunter2\n',
      'plug.key': 'k'.repeat(32),
    }))
      fs.writeFileSync(at(name), text, { mode: 0o600 });
    const cmd = { path: process.execPath, args: [plugIn, at('plug.key'), 'plug'] };
    fs.writeFileSync(at('providers'), JSON.stringify({ 'key-providers': { plug: { cmd } } }), { mode: 0o600 });
    Object.assign(environment, { OCICRYPT_KEYPROVIDER_CONFIG: at('providers'), TPM2TOOLS_TCTI: tpm.tcti });
    for (const name of ['src', 'mnt']) fs.mkdirSync(at(name));
    fs.writeFileSync(at('src/core-1.img'), 'core');
    await run('keygen', '-o', 'file.key');
  });
  afterAll(async () => {
    clear(at('mnt'));
    await vault.close();
    await tpm.stop();
    authority.remove();
    fs.rmSync(base, { recursive: true });
  });

  /** Runs a command that must succeed, and returns its output. */
  async function run(...words: string[]): Promise<string> {
    const { status, stdout, stderr } = await outcome(...words);
    expect(`${words[0]}: ${status} ${stderr}`).toBe(`${words[0]}: 0 `);
    return stdout;
  }

  async function outcome(...words: string[]) {
    const child = spawn(ckptfsProgram, words, { cwd: base, env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
    const [stdout, stderr] = [child.stdout, child.stderr].map((stream) => {
      const parts: Buffer[] = [];
      stream.on('data', (part: Buffer) => parts.push(part));
      return () => Buffer.concat(parts).toString();
    }) as [() => string, () => string];
    const [status] = (await once(child, 'close')) as [number | null];
    for (const text of [stdout(), stderr()]) expect(text).not.toContain('hunter2');
    return { status, stdout: stdout(), stderr: stderr() };
  }

  test.each([
    ['keyprovider', () => ['keyprovider:plug:hunter2'], 'keyprovider:plug'],
    ['tpm2', () => [`tpm2:pcrs=sha256:0,7;auth-file=${at('tpm-auth')}`], 'tpm2:pcrs=sha256:0,7'],
    [
      'vault',
      () => [
        `vault://127.0.0.1:${vault.port}/transit/images`,
        '--key-ca-file',
        authority.caFile,
        '--key-header',
        `X-Vault-Token: @${at('token')}`,
      ],
      'vault://127.0.0.1:PORT/transit/images',
    ],
  ])('%s makes and opens an image by every command', async (kind, words, place) => {
    const [service = '', ...options] = words();
    const key = ['--key', service, ...options];
    const image = `enc-${kind}`;
    await run('encrypt', 'src', image, '-r', service, ...options);
    const { slots } = JSON.parse(await run('key', 'list', image, '--json')) as { slots: Record<string, unknown>[] };
    const [listed] = slots;
    expect(JSON.stringify(listed).replace(/:\d+\//, ':PORT/')).toContain(JSON.stringify(place));
    expect(listed).toMatchObject({ kind, algorithm: `ckptfs-${kind}` });
    await run('verify', image, ...key);
    await run('decrypt', image, `out-${kind}`, ...key);
    expect(fs.readFileSync(at(`out-${kind}/core-1.img`), 'utf8')).toBe('core');
    expect(await run('exec', image, ...key, '--', 'cat', '{}/core-1.img')).toBe('core');

    await run('key', 'add', image, ...key, '-r', 'file:file.key');
    await run('verify', image, '-k', 'file.key');
    await run('reencrypt', image, `new-${kind}`, ...key, '-r', service);
    await run('verify', `new-${kind}`, ...key);

    await run('mount', image, 'mnt', ...key);
    expect(fs.readFileSync(at('mnt/core-1.img'), 'utf8')).toBe('core');
    await run('umount', 'mnt');

    await run('mount', '--write', `written-${kind}`, 'mnt', ...key, '-q');
    fs.writeFileSync(at('mnt/kept'), 'kept');
    const mounts = JSON.parse(await run('status', '--json')) as { mountPoint: string; pid: number }[];
    const pid = mounts.find(({ mountPoint }) => mountPoint === at('mnt'))?.pid ?? 0;
    process.kill(pid, 'SIGKILL');
    await until('the daemon is dead', () => !isAlive(pid));
    clear(at('mnt'));
    await run('recover', `written-${kind}`, ...key);
    await run('seal', `written-${kind}`, ...key);
    expect(await run('cat', `written-${kind}`, 'kept', ...key)).toBe('kept');
  });

  test('what keeps a service from opening is said, with its exit code', async () => {
    await tpm.extend(7);
    const vaultWords = ['--key', `vault://127.0.0.1:${vault.port}/transit/images`, '--key-ca-file', authority.caFile];
    for (const [image, words, said] of [
      [
        'enc-tpm2',
        ['--key', `tpm2:auth-file=${at('tpm-auth')}`],
        'the registers (PCRs) of the TPM are not as they were',
      ],
      ['enc-keyprovider', ['--key', 'keyprovider:plug:other'], 'the command ended with exit code 1'],
      ['enc-vault', vaultWords, 'it answers 403'],
    ] as const) {
      const { status, stderr } = await outcome('verify', image, ...words);
      expect([status, stderr]).toEqual([15, expect.stringContaining(said)]);
    }
    expect(await tpm.loaded()).toBe(0);
  });
});
