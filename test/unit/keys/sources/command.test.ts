import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { CkptfsError } from '../../../../src/base/errors.ts';
import { openKeySource } from '../../../../src/keys/sources/registry.ts';

const directory = mkdtempSync(join(tmpdir(), 'ckptfs-command-'));
afterAll(() => rmSync(directory, { recursive: true }));
const path = (name: string) => join(directory, name);
const key = 'd4'.repeat(16);

async function read(command: string, timeoutSeconds = 60): Promise<string> {
  const secret = await (await openKeySource(`cmd:${command}`, { timeoutSeconds })).read();
  return Buffer.from(secret.bytes).toString('hex');
}

async function refusal(command: string, timeoutSeconds?: number): Promise<CkptfsError> {
  return read(command, timeoutSeconds).then(
    () => {
      throw new Error('it was read');
    },
    (error: CkptfsError) => error,
  );
}

/** Whether a process is there, and has not ended. */
function isAlive(pid: string): boolean {
  return existsSync(`/proc/${pid}/stat`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
}

test('a password store as people have them', async () => {
  const store = path('pass');
  writeFileSync(
    store,
    `#!/bin/sh\n[ "$1" = show ] || exit 2\ncase $2 in team/key) echo ${key};; *) echo "Error: $2 is not in the password store." >&2; exit 1;; esac\n`,
    { mode: 0o755 },
  );
  expect(await read(`${store} show team/key`)).toBe(key);
  const error = await refusal(`${store} show other`);
  expect([error.code, error.data]).toEqual(['key-unavailable', { reason: 'command-failed' }]);
  expect(error.message).toBe(
    `cmd:${store} show other: the command ended with exit code 1: Error: other is not in the password store.`,
  );
});

test('it has no terminal, no input, and no variable that another source is named for', async () => {
  process.env['CKPTFS_TEST_OTHER'] = key;
  process.env['CKPTFS_TEST_PLAIN'] = 'plain';
  await openKeySource('env:CKPTFS_TEST_OTHER');
  expect(process.env['CKPTFS_TEST_OTHER']).toBeUndefined();
  const script = `cat; [ -z "$CKPTFS_TEST_OTHER" ] && [ "$CKPTFS_TEST_PLAIN" = plain ] && ! (: </dev/tty) && echo ${key}`;
  expect(await read(script)).toBe(key);
});

test('it is not told of a service manager, to which it would report its own failures', async () => {
  process.env['NOTIFY_SOCKET'] = '/run/systemd/notify';
  expect(await read(`[ -z "$NOTIFY_SOCKET" ] && echo ${key}`)).toBe(key);
  delete process.env['NOTIFY_SOCKET'];
});

test('what it leaves in the background is not waited for', async () => {
  expect(await read(`sleep 1000 & echo $! >${path('background')}; echo ${key}`)).toBe(key);
  const pid = readFileSync(path('background'), 'utf8').trim();
  expect(isAlive(pid)).toBe(true);
  process.kill(Number(pid));
});

test('one that takes too long is killed with what it started', async () => {
  const error = await refusal(`sleep 1000 & echo $! >${path('late')}; echo ${key}; wait`, 0.5);
  expect([error.code, error.data]).toEqual(['key-unavailable', { reason: 'timeout' }]);
  expect(error.message).toContain('did not end within 0.5 seconds and was killed');
  // A process that is killed ends when the kernel has come to it.
  await expect.poll(() => isAlive(readFileSync(path('late'), 'utf8').trim()), { timeout: 60_000 }).toBe(false);
});

test('one that closes its output is waited for', async () => {
  expect((await refusal('exec >&- 2>&-; sleep 1000', 0.3)).data).toEqual({ reason: 'timeout' });
  expect((await refusal(`echo ${key}; exec >&- 2>&-; exit 7`)).message).toContain('exit code 7');
});

test('one that writes without end is killed', async () => {
  const error = await refusal(`echo $$ >${path('endless')}; exec yes ${key}`);
  expect([error.code, error.data]).toEqual(['key-unavailable', { reason: 'garbage' }]);
  await expect.poll(() => isAlive(readFileSync(path('endless'), 'utf8').trim()), { timeout: 60_000 }).toBe(false);
});

test('one that writes errors without end can give a key', async () => {
  expect(await read(`head -c 300000 /dev/zero >&2; echo ${key}`)).toBe(key);
});

test.each([
  ['kill -SEGV $$', 'the command was ended by SIGSEGV'],
  ["printf '\\n  \\nfirst\\nsecond' >&2; exit 3", 'exit code 3: first'],
  ["printf '\\033[2J\\r\\007x' >&2; exit 1", 'exit code 1: \\x1b[2J\\r\\x07x'],
  [`head -c 2000 /dev/zero | tr '\\0' x >&2; exit 1`, 'xx\u2026xx'],
])('%s', async (script, said) => {
  const error = await refusal(script);
  expect(error.message).toContain(said);
  expect(error.message.length).toBeLessThan(700);
});

test('what looks like a key in its errors is hidden', async () => {
  const traced = await refusal(`k=$(printf 'd4%.0s' $(seq 16)); echo "+ echo $k" >&2; echo $k; exit 1`);
  expect(traced.message).toContain('+ echo [hidden]');
  expect(traced.message).not.toContain('d4d4');
});

test('nothing of a key in its errors is shown, also where they are cut or escape it', async () => {
  const base64 = `Ab9${'xY7/'.repeat(10)}=`;
  const said = async (errors: string): Promise<string> => {
    writeFileSync(path('errors'), errors);
    return (await refusal(`cat ${path('errors')} >&2; exit 1`)).message;
  };
  expect(await said(`x${' '.repeat(4080)}the ${base64}`)).toMatch(/ the $/);
  expect(await said(`{"k":"${base64.replaceAll('/', '\\/')}"}`)).toMatch(/: \{"k":"\[hidden\]"\}$/);
});

test('the errors of a command for a passphrase are not quoted, because nothing tells a passphrase in them', async () => {
  const source = await openKeySource('passphrase:cmd:set -x; echo "$(printf hunter; echo 2)"; exit 3');
  const error = await source.read().catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'key-unavailable', data: { reason: 'command-failed' } });
  expect((error as CkptfsError).message).toMatch(/: the command ended with exit code 3$/);
});

test('a long command is shortened in messages', async () => {
  expect((await refusal(`exit 1 # ${'x'.repeat(5000)}`)).message.length).toBeLessThan(300);
});

test.each([
  [77, 'denied'],
  [78, 'command-failed'],
])('exit code %d is %s', async (code, reason) => {
  expect((await refusal(`exit ${code}`)).data).toEqual({ reason });
});
