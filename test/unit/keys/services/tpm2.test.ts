// What a TPM answers is held to system/tpm2, against real ones. Here are those that answer anything else.
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CkptfsError } from '../../../../src/base/errors.ts';
import { openKeyService } from '../../../../src/keys/services/registry.ts';

const directory = mkdtempSync(join(tmpdir(), 'ckptfs-hostile-tpm-'));
const path = join(directory, 'tpm');
let answer: (socket: Socket, command: Buffer) => void;
let server: Server;

beforeAll(async () => {
  server = createServer((socket) => {
    socket.on('error', () => undefined).on('data', (command) => answer(socket, command));
  });
  server.listen(path);
  await once(server, 'listening');
});
afterAll(() => {
  server.close();
  rmSync(directory, { recursive: true });
});

const response = (code: number, body = ''): Buffer => {
  const bytes = Buffer.from(body.replaceAll(' ', ''), 'hex');
  const head = Buffer.alloc(10);
  head.writeUInt16BE(0x8001);
  head.writeUInt32BE(head.length + bytes.length, 2);
  head.writeUInt32BE(code, 6);
  return Buffer.concat([head, bytes]);
};

async function refusal(fields = '', timeoutSeconds = 60): Promise<readonly unknown[]> {
  const error = await (await openKeyService(`tpm2:tcti=swtpm:path=${path};${fields}`, { timeoutSeconds }))
    .prepare()
    .then(
      () => {
        throw new Error('it worked');
      },
      (reason: CkptfsError) => reason,
    );
  if (error.code !== 'interrupted') expect(error.message).toContain(`tpm2:swtpm:path=${path}: `);
  return [error.code, (error.data as { reason?: string }).reason, error.message.replace(/^\S+: /, '')];
}

test.each<[string, string, string, (socket: Socket) => void]>([
  ['nothing, and ends', 'garbage', 'ended the connection', (socket) => socket.end()],
  ['half of a response, and ends', 'garbage', 'ended', (socket) => socket.end(response(0, 'aabb').subarray(0, 11))],
  ['text', 'garbage', 'a response of', (socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')],
  [
    'a size that is too large',
    'garbage',
    'a response of',
    (socket) => socket.write(Buffer.from('8001ffffffff00000000', 'hex')),
  ],
  [
    'a size that is too small',
    'garbage',
    'a response of',
    (socket) => socket.write(Buffer.from('80010000000100000000', 'hex')),
  ],
  ['an empty success', 'garbage', 'ends early', (socket) => socket.write(response(0))],
  [
    'a public area without a key',
    'garbage',
    'ends early',
    (socket) => socket.write(response(0, '80000000 00000000 0004 00230000')),
  ],
  [
    'without end',
    'garbage',
    'a response of',
    (socket) => {
      const more = (): void => {
        while (socket.write(Buffer.alloc(4096, 0x80)));
      };
      socket.on('drain', more);
      more();
    },
  ],
  ['that it has no memory', 'refused', 'no room for another object', (socket) => socket.write(response(0x902))],
  ['that it was not started', 'refused', 'not started', (socket) => socket.write(response(0x100))],
  ['that it is locked', 'pin-locked', 'locked', (socket) => socket.write(response(0x921))],
  [
    'that the owner has a password',
    'wrong-pin',
    'authorization value is wrong',
    (socket) => socket.write(response(0x9a2)),
  ],
  ['another code', 'refused', 'the TPM answers 0x101', (socket) => socket.write(response(0x101))],
])('a TPM that answers %s', async (_what, reason, said, behaviour) => {
  answer = behaviour;
  expect(await refusal()).toEqual(['key-unavailable', reason, expect.stringContaining(said)]);
});

test('a TPM that is busy is asked again, and one that stays so is given up', async () => {
  let asked = 0;
  answer = (socket) => {
    asked += 1;
    socket.write(response(asked < 4 ? 0x922 : 0x101));
  };
  expect((await refusal())[1]).toBe('refused');
  expect(asked).toBe(4);
  answer = (socket) => void socket.write(response(0x922));
  expect((await refusal('', 0.3))[0]).toBe('key-unavailable');
});

test('a TPM that is silent is not waited for', async () => {
  answer = () => undefined;
  expect((await refusal('', 0.3))[1]).toBe('timeout');
});

test('a TPM that is silent does not keep a command that is interrupted', async () => {
  answer = () => process.emit('SIGINT');
  expect((await refusal('', 3600))[0]).toBe('interrupted');
});

test('a TPM that ends the connection after its answer is not waited for', async () => {
  let asked = 0;
  answer = (socket) => {
    asked += 1;
    socket.end(response(0x922));
  };
  expect((await refusal('', 3600))[1]).toBe('garbage');
  expect(asked).toBe(1);
});

test('what is no device is not written to', async () => {
  const file = join(directory, 'file');
  writeFileSync(file, '');
  const provider = await openKeyService(`tpm2:tcti=device:${file}`, {});
  await expect(provider.prepare()).rejects.toMatchObject({ message: expect.stringContaining('is no device') });
  expect(readFileSync(file)).toHaveLength(0);
});

test.each([
  ['pcrs=7', 'is written BANK:N,N'],
  ['pcrs=sha256:0;pcrs=sha256:1', 'each once'],
  ['auth=hunter2', 'auth-file=FILE'],
  ['tcti=tabrmd', 'names no TPM'],
])('tpm2:%s is refused', async (fields, said) => {
  const refused = { code: 'bad-argument', message: expect.stringContaining(said) };
  await expect(openKeyService(`tpm2:${fields}`, {})).rejects.toMatchObject(refused);
});
