// Goal: every command that makes or opens an image does so with a key in a token. Method: the real commands, with a key
// of AES in SoftHSM.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type SoftHsmToken, softHsmToken } from '../support/tokens.ts';
import { ckptfsProgram, clear, isAlive, until } from './support/mounts.ts';
import { describeIf, systemTest } from './support/requirements.ts';
import { Terminal } from './support/transcript.ts';

const driver = join(import.meta.dirname, '../support/on-terminal.py');

describeIf(['fuse', 'root', 'python', 'softHsm'], 'a key in a token', () => {
  const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-pkcs11-')));
  const at = (name: string): string => join(base, name);
  let token: SoftHsmToken;
  let terminal: Terminal;
  let key: readonly string[];

  beforeAll(() => {
    token = softHsmToken();
    terminal = new Terminal(base);
    terminal.environment['SOFTHSM2_CONF'] = process.env['SOFTHSM2_CONF'];
    key = ['--key', token.uri('kek')];
    fs.mkdirSync(at('src'));
    fs.mkdirSync(at('mnt'));
    fs.writeFileSync(at('src/core-1.img'), 'core');
  });
  afterAll(() => {
    clear(at('mnt'));
    token.remove();
    fs.rmSync(base, { recursive: true });
  });

  /** Runs a command that must succeed, and returns its output. */
  function run(...words: string[]): string {
    const { status, stdout, stderr } = terminal.run(...words);
    expect(`${words[0]}: ${status} ${stderr}`).toBe(`${words[0]}: 0 `);
    for (const secret of [token.pin, token.pinFile]) expect(stdout + stderr).not.toContain(secret);
    return stdout;
  }

  function daemon(): number {
    const mounts = JSON.parse(run('status', '--json')) as { mountPoint: string; pid: number }[];
    return mounts.find(({ mountPoint }) => mountPoint === at('mnt'))?.pid ?? 0;
  }

  test('makes and opens an image by every command', async () => {
    run('encrypt', 'src', 'enc', ...key);
    expect(run('key', 'list', 'enc')).toMatch(/^1 +pkcs11 +A256KW .* pkcs11:token=ckptfs%20test;object=kek$/m);
    run('verify', 'enc', ...key);
    run('decrypt', 'enc', 'out', ...key);
    expect(fs.readFileSync(at('out/core-1.img'), 'utf8')).toBe('core');
    expect(run('exec', 'enc', ...key, '--', 'cat', '{}/core-1.img')).toBe('core');

    run('keygen', '-o', 'file.key');
    run('key', 'add', 'enc', ...key, '-r', token.uri('ec'));
    run('verify', 'enc', '--key', token.uri('ec'));
    run('encrypt', 'src', 'by-file', '-k', 'file.key');
    run('key', 'add', 'by-file', '-k', 'file.key', '-r', token.uri('kek'));
    run('reencrypt', 'by-file', 'by-token', ...key, '-r', token.uri('ec'));
    run('verify', 'by-token', '--key', token.uri('ec'));

    run('mount', 'enc', 'mnt', ...key);
    expect(fs.readFileSync(at('mnt/core-1.img'), 'utf8')).toBe('core');
    // The command asked the token, and the daemon has nothing of its module.
    expect(fs.readFileSync(`/proc/${daemon()}/maps`, 'utf8')).not.toContain('softhsm');
    run('umount', 'mnt');

    run('mount', '--write', 'new', 'mnt', ...key);
    fs.writeFileSync(at('mnt/kept'), 'kept');
    const pid = daemon();
    process.kill(pid, 'SIGKILL');
    await until('the daemon is dead', () => !isAlive(pid));
    clear(at('mnt'));
    run('recover', 'new', ...key);
    run('seal', 'new', ...key);
    expect(run('cat', 'new', 'kept', ...key)).toBe('kept');
  });

  test('asks for the PIN on the terminal, and says where there is none', () => {
    const uri = token.uri('kek').replace(/&pin-source=.*$/, '');
    const words = ['verify', at('enc'), '--key', uri];
    const steps = [{ expect: 'PIN of token ckptfs test: ' }, { type: `${token.pin}\n` }];
    const said = execFileSync('/usr/bin/python3', [driver, JSON.stringify(steps), ckptfsProgram, ...words], {
      env: terminal.environment,
      encoding: 'utf8',
    });
    expect(JSON.parse(said)).toMatchObject({ status: 0, shown: expect.not.stringContaining(token.pin) });
    const { status, stderr } = terminal.shell(`setsid -w '${ckptfsProgram}' verify enc --key '${uri}' </dev/null`);
    const needed = 'the PIN of token ckptfs test is needed, and there is no terminal to ask for it';
    expect([status, stderr]).toEqual([10, expect.stringContaining(needed)]);
  });

  systemTest(['p11Kit'], 'is found by p11-kit where no module is named', () => {
    run('verify', 'enc', '--key', token.uri('kek').replace(/module-path=[^&]*&/, ''));
  });

  test('is destroyed with an image', () => {
    token.makeAes('doomed');
    const doomed = token.uri('doomed');
    run('encrypt', 'src', 'shredded', '--key', doomed);
    fs.cpSync(at('shredded'), at('copy'), { recursive: true });
    const { imageId } = JSON.parse(run('info', 'shredded', '--json')) as { imageId: string };
    run('shred', 'shredded', '--image-id', imageId, '--destroy-key', doomed);
    const { status, stderr } = terminal.run('verify', 'copy', '--key', doomed);
    expect([status, stderr]).toEqual([15, expect.stringContaining('has no such key')]);
  });

  test('is what a policy may forbid', () => {
    const forPublicKey = ['encrypt', 'src', 'none', '-r', token.uri('ec;type=public')];
    const checks = JSON.stringify({ recipientChecks: { caFile: [at('ca.crt')] } });
    fs.writeFileSync(at('checks.json'), checks, { mode: 0o600 });
    fs.writeFileSync(at('ca.crt'), '');
    expect(terminal.run(...forPublicKey, '--policy', 'checks.json')).toMatchObject({ status: 14 });
    expect(terminal.run(...forPublicKey, '--ca-file', 'ca.crt').stderr).toContain('has no certificate');
    fs.writeFileSync(at('policy.json'), '{"keySources": ["file"]}', { mode: 0o600 });
    const { status, stderr } = terminal.run('verify', 'enc', ...key, '--policy', 'policy.json');
    expect([status, stderr]).toEqual([14, expect.stringContaining('forbids keys of PKCS #11 tokens (pkcs11)')]);
  });
});
