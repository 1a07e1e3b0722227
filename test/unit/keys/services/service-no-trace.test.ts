// Goal: once a key service is wiped, neither a content key nor an authorization value is in the memory of the process.
// Method: a child makes and opens slots; its memory is searched for their content keys, which the services tell here.
import { spawn } from 'node:child_process';
import { createDecipheriv, createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect } from 'vitest';
import type { Slot } from '../../../../src/format/slot.ts';
import { parseSealed } from '../../../../src/keys/tpm2/sealed-content.ts';
import { Tpm } from '../../../../src/keys/tpm2/tpm.ts';
import { connectTpm, parseTcti, type TpmPlace } from '../../../../src/keys/tpm2/transport.ts';
import { bundled } from '../../../support/bundled.ts';
import { answerTo } from '../../../support/key-provider.mjs';
import { namesInMemory } from '../../../support/memory.ts';
import { SoftwareTpm } from '../../../support/software-tpm.ts';
import { TlsAuthority } from '../../../support/tls-authority.ts';
import { VaultServer } from '../../../support/vault-server.ts';
import { systemTest } from '../../../system/support/requirements.ts';

const program = join(import.meta.dirname, '../../../support/key-provider.mjs');
const key = Buffer.alloc(32, 0x6b);

/** Answers calls of gRPC as a key provider. */
function keyProviderServer() {
  const server = createServer();
  server.on('stream', (stream) => {
    const parts: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => parts.push(chunk));
    stream.on('end', () => {
      const question = Buffer.concat(parts);
      const answer = Buffer.from(answerTo(question.subarray(question.indexOf('{')).toString(), key, 'server'));
      const field = Buffer.from([0x0a, (answer.length & 0x7f) | 0x80, answer.length >> 7]);
      const prefix = Buffer.alloc(5);
      prefix.writeUInt32BE(field.length + answer.length, 1);
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(Buffer.concat([prefix, field, answer]));
    });
  });
  return server;
}

function decrypted(wrapped: Buffer, wrappingKey: Buffer, context: Buffer): Buffer {
  const cipher = createDecipheriv('aes-256-gcm', wrappingKey, wrapped.subarray(0, 12)).setAAD(context);
  cipher.setAuthTag(wrapped.subarray(-16));
  return Buffer.concat([cipher.update(wrapped.subarray(12, -16)), cipher.final()]);
}

async function unsealed(tcti: string, wrapped: Buffer, value: Buffer): Promise<Buffer> {
  const { signal } = new AbortController();
  const tpm = new Tpm(await connectTpm('tpm2:', parseTcti(tcti) as TpmPlace, signal), signal);
  const [parent, sealed] = [await tpm.storageKey(), parseSealed(wrapped)];
  const object = (await tpm.load(parent, sealed)) ?? 0;
  const secret = await tpm.unseal(parent, object, sealed.publicPart, value, sealed.pcrs);
  await tpm.end();
  return Buffer.from(secret.bytes);
}

systemTest(['swtpm', 'root'], 'nothing is left of content keys and authorization values', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ckptfs-trace-'));
  const path = (name: string): string => join(directory, name);
  const authority = new TlsAuthority();
  const [vault, tpm, server] = [await VaultServer.start(authority), await SoftwareTpm.start(), keyProviderServer()];
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { versions } = vault.addKey('images');
  const [token, value] = ['hvs.a-token-of-the-test', 'an authorization value'];
  vault.tokens.set(token, 'all');
  const providers = {
    plug: { cmd: { path: process.execPath, args: [program, path('key'), 'plug'] } },
    server: { grpc: `127.0.0.1:${(server.address() as AddressInfo).port}` },
  };
  const files = {
    key,
    token: `${token}\n`,
    value: `${value}\n`,
    config: JSON.stringify({ 'key-providers': providers }),
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(path(name), text, { mode: 0o600 });
  const child = await bundled(join(import.meta.dirname, 'service-child.ts'));
  const services = [
    'keyprovider:plug',
    'keyprovider:server',
    `vault://127.0.0.1:${vault.port}/transit/images`,
    `tpm2:tcti=${tpm.tcti};auth-file=${path('value')}`,
  ];
  const words = ['--expose-gc', child.path, authority.caFile, `X-Vault-Token: @${path('token')}`, ...services];
  const running = spawn(process.execPath, words, {
    env: { ...process.env, OCICRYPT_KEYPROVIDER_CONFIG: path('config') },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(running, 'close');
  try {
    const lines = createInterface(running.stdout);
    const [line] = await Promise.race([once(lines, 'line'), once(lines, 'close')]);
    const wrapped = (JSON.parse(String(line)) as Slot[]).map((slot) => ({
      bytes: Buffer.from(slot.encrypted_key, 'base64url'),
      context: Buffer.from(slot.protected, 'latin1'),
    }));
    const digest = createHash('sha256').update(value).digest();
    const found = new Map<string, Buffer>();
    for (const [at, { bytes, context }] of wrapped.entries()) {
      const text = services[at] ?? '';
      if (text.startsWith('keyprovider:')) {
        const { symkey } = JSON.parse(decrypted(bytes, key, Buffer.from('Enabled')).toString()) as { symkey: string };
        found.set(text, Buffer.from(symkey, 'base64'));
      } else if (text.startsWith('tpm2:')) {
        found.set(text, await unsealed(tpm.tcti, bytes, digest));
      } else {
        const ciphertext = Buffer.from(bytes.toString().split(':')[2] ?? '', 'base64');
        found.set(text, decrypted(ciphertext, versions[0] as Buffer, context));
      }
    }
    const contentKeys = [...found].flatMap(([text, contentKey]) => {
      expect(contentKey).toHaveLength(32);
      const base64 = Buffer.from(contentKey.toString('base64'));
      // What a server answers by TLS is in buffers of Node that nothing can wipe (docs/security.md).
      const forms = text.startsWith('vault:') ? { bytes: contentKey } : { bytes: contentKey, base64 };
      return Object.entries(forms).map(([form, needle]) => [`content key of ${text} (${form})`, needle] as const);
    });
    const needles = new Map([
      ['the search itself', Buffer.from('service-child')] as const,
      ['the authorization value', Buffer.from(value)] as const,
      ['its digest', digest] as const,
      ...contentKeys,
    ]);
    expect(namesInMemory(running.pid as number, needles)).toEqual(['the search itself']);
  } finally {
    running.kill();
    await ended;
    child.remove();
    for (const one of [vault, server]) await one.close();
    await tpm.stop();
    authority.remove();
    rmSync(directory, { recursive: true });
  }
});
