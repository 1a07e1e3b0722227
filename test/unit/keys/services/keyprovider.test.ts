import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CkptfsError } from '../../../../src/base/errors.ts';
import { Secret } from '../../../../src/crypto/secret.ts';
import { openKeyService } from '../../../../src/keys/services/registry.ts';
import { answerTo } from '../../../support/key-provider.mjs';
import { testContract } from './contract.ts';

const directory = mkdtempSync(join(tmpdir(), 'ckptfs-keyprovider-'));
const path = (name: string): string => join(directory, name);
const program = fileURLToPath(new URL('../../../support/key-provider.mjs', import.meta.url));
const key = Buffer.alloc(32, 0x6b);
const imageId = Buffer.alloc(16, 1);
const patient = { timeoutSeconds: 60 };

let server: Http2Server;
/** What the server does with a question. */
let answer: (stream: ServerHttp2Stream, question: Buffer) => void;

beforeAll(async () => {
  server = createServer();
  server.on('stream', (stream, headers) => {
    const parts: Buffer[] = [];
    stream.on('error', () => undefined);
    stream.on('data', (chunk: Buffer) => parts.push(chunk));
    stream.on('end', () => {
      expect(headers['content-type']).toBe('application/grpc');
      expect(headers[':path']).toMatch(/^\/keyprovider\.KeyProviderService\/(?:Wrap|UnWrap)Key$/);
      answer(stream, Buffer.concat(parts));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  writeFileSync(path('key'), key);
  const sh = (script: string) => ({ cmd: { path: '/bin/sh', args: ['-c', script] } });
  const providers = {
    plug: { cmd: { path: process.execPath, args: [program, path('key'), 'plug'] } },
    server: { grpc: `127.0.0.1:${port}` },
    elsewhere: { grpc: 'kms.example:50051' },
    nobody: { grpc: '127.0.0.1:1' },
    socket: { grpc: `unix://${path('absent.sock')}` },
    absent: { cmd: { path: '/absent/program' } },
    denies: sh('cat >/dev/null; echo "403 of the KMS" >&2; exit 1'),
    traces: sh('cat >&2; exit 1'),
    silent: sh(`echo $$ >${path('pid')}; exec sleep 1000`),
    endless: sh('exec yes'),
    empty: sh(':'),
    dies: sh('read -r -n 1 x 2>/dev/null; kill -9 $$'),
    large: sh(`head -c 7000 /dev/zero | base64 -w0 | sed 's/^/{"keywrapresults":{"annotation":"/; s/$/"}}/'`),
  };
  writeFileSync(path('config'), JSON.stringify({ 'key-providers': providers }), { mode: 0o600 });
  process.env['OCICRYPT_KEYPROVIDER_CONFIG'] = path('config');
});
afterAll(async () => {
  server.close();
  rmSync(directory, { recursive: true });
});

/** Puts bytes into the frame of a message, and ends the call well. */
function reply(stream: ServerHttp2Stream, message: Buffer, status: Record<string, string> = { 'grpc-status': '0' }) {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers(status));
  stream.end(Buffer.concat([prefix, message]));
}

/** A message with one field of bytes, of 128 to 16,383. */
function field(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x0a, (bytes.length & 0x7f) | 0x80, bytes.length >> 7]), bytes]);
}

function answerRightly(stream: ServerHttp2Stream, question: Buffer): void {
  const text = question.subarray(question.indexOf('{')).toString();
  try {
    reply(stream, field(Buffer.from(answerTo(text, key, 'server'))));
  } catch {
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '7', 'grpc-message': 'no%20such%20key' },
      { endStream: true },
    );
  }
}

describe('a plug-in that is a program', () => {
  testContract({
    kind: 'keyprovider',
    open: () => openKeyService('keyprovider:plug:hunter2', patient),
    openAbsent: () => openKeyService('keyprovider:other:hunter2', patient),
    secrets: ['hunter2'],
  });
});

describe('a plug-in that is a server', () => {
  beforeAll(() => {
    answer = answerRightly;
  });
  testContract({
    kind: 'keyprovider',
    open: () => openKeyService('keyprovider:server', patient),
    openAbsent: () => openKeyService('keyprovider:other', patient),
    secrets: [],
  });
});

async function refusal(name: string, timeoutSeconds = 60): Promise<CkptfsError> {
  const provider = await openKeyService(`keyprovider:${name}`, { timeoutSeconds });
  return provider.wrap(Secret.random(32), imageId).then(
    () => {
      throw new Error('it wrapped');
    },
    (error: CkptfsError) => error,
  );
}

test.each([
  ['absent', 'command-failed', '/absent/program cannot be started: ENOENT'],
  ['denies', 'command-failed', 'exit code 1: 403 of the KMS'],
  ['traces', 'command-failed', '"optsdata":"[hidden]'],
  ['endless', 'garbage', 'answers more than 16383 bytes'],
  ['empty', 'garbage', 'it is not JSON'],
  ['dies', 'command-failed', 'ended by SIGKILL'],
  ['large', 'garbage', 'wraps to 7000 bytes'],
  ['elsewhere', 'refused', 'kms.example:50051 is not of this host'],
  ['nobody', 'unreachable', 'ECONNREFUSED'],
  ['socket', 'unreachable', 'ENOENT'],
])('the provider "%s" makes no slot: %s', async (name, reason, said) => {
  const error = await refusal(name);
  expect([error.code, error.data]).toEqual(['key-unavailable', { reason }]);
  expect(error.message).toContain(`keyprovider:${name}: `);
  expect(error.message).toContain(said);
});

test('a program that is silent is killed', async () => {
  const error = await refusal('silent', 0.5);
  expect(error.data).toEqual({ reason: 'timeout' });
  const pid = readFileSync(path('pid'), 'utf8').trim();
  const state = () => {
    try {
      return readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/.*\) /, '')[0];
    } catch {
      return 'gone';
    }
  };
  await expect.poll(state, { timeout: 60_000 }).toMatch(/gone|Z/);
});

test.each<[string, string, string, typeof answer]>([
  [
    'a status that denies',
    'denied',
    'status 7: not you',
    (stream) =>
      stream.respond({ ':status': 200, 'grpc-status': '7', 'grpc-message': 'not%20you' }, { endStream: true }),
  ],
  ['another status', 'refused', 'status 13', (stream) => reply(stream, Buffer.alloc(0), { 'grpc-status': '13' })],
  ['no status', 'garbage', 'does not speak gRPC', (stream) => reply(stream, field(Buffer.alloc(200)), {})],
  ['404', 'garbage', 'does not speak gRPC', (stream) => stream.respond({ ':status': 404 }, { endStream: true })],
  ['no message', 'garbage', 'no message of a key provider', (stream) => reply(stream, Buffer.alloc(0))],
  ['another field', 'garbage', 'no message of a key provider', (stream) => reply(stream, Buffer.from([0x12, 1, 0]))],
  [
    'a length that lies',
    'garbage',
    'no message of a key provider',
    (stream) => reply(stream, Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0])),
  ],
  ['more than asked for', 'garbage', 'its answer is too long', (stream) => reply(stream, Buffer.alloc(1 << 20))],
  ['zeros', 'garbage', 'it is not JSON', (stream) => reply(stream, field(Buffer.alloc(200)))],
  ['a reset', 'garbage', 'does not speak gRPC', (stream) => stream.close(2)],
  ['the end of the connection', 'unreachable|garbage', 'keyprovider:server', (stream) => stream.session?.destroy()],
])('a server that answers %s: %s', async (_what, reason, said, behaviour) => {
  answer = behaviour;
  const error = await refusal('server');
  expect([error.code, error.data]).toEqual(['key-unavailable', { reason: expect.stringMatching(reason) }]);
  expect(error.message).toContain(said);
});

test('a server that says nothing is not waited for', async () => {
  answer = () => undefined;
  expect((await refusal('server', 0.5)).data).toEqual({ reason: 'timeout' });
});

test('a server that speaks something else', async () => {
  const other = createTcpServer((socket) => socket.on('error', () => undefined).end('SSH-2.0-x\r\n'));
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  const grpc = `127.0.0.1:${(other.address() as AddressInfo).port}`;
  writeFileSync(path('other'), JSON.stringify({ 'key-providers': { odd: { grpc } } }), { mode: 0o600 });
  process.env['OCICRYPT_KEYPROVIDER_CONFIG'] = path('other');
  const error = await refusal('odd');
  expect(error.code).toBe('key-unavailable');
  process.env['OCICRYPT_KEYPROVIDER_CONFIG'] = path('config');
  other.close();
});

test('a configuration that is not there, or wrong, is named', async () => {
  process.env['OCICRYPT_KEYPROVIDER_CONFIG'] = '/absent/config';
  expect(await refusal('plug')).toMatchObject({
    code: 'bad-key-file',
    message: expect.stringContaining('/absent/config'),
  });
  delete process.env['OCICRYPT_KEYPROVIDER_CONFIG'];
  expect((await refusal('plug')).message).toContain('OCICRYPT_KEYPROVIDER_CONFIG names no configuration');
  process.env['OCICRYPT_KEYPROVIDER_CONFIG'] = path('config');
});

test.each(['keyprovider:', 'keyprovider::x', 'keyprovider:a b'])('%s names none', async (text) => {
  await expect(openKeyService(text, {})).rejects.toMatchObject({ code: 'bad-argument' });
});
