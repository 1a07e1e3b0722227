// Goal: once a provider of a KMIP server is wiped, no key that went over the connection is in the memory of the
// process, but for the stack, where Node decrypts what TLS receives.
// Method: a child makes and opens slots, with a server of this process, which knows the keys; its memory is searched.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { required } from '../../../../src/keys/kmip/messages.ts';
import { tag } from '../../../../src/keys/kmip/tags.ts';
import { bundled } from '../../../support/bundled.ts';
import { KmipServer } from '../../../support/kmip-server.ts';
import { foundInMemory } from '../../../support/memory.ts';
import { TlsAuthority } from '../../../support/tls-authority.ts';

test('nothing is left of keys that were wrapped, unwrapped or fetched', async () => {
  const authority = new TlsAuthority();
  const server = await KmipServer.start(authority.issue('server', 'IP:127.0.0.1'));
  const needles = new Map<string, Buffer>([['the search itself', Buffer.from('kmip-child')]]);
  needles.set('a key that was fetched', server.addKey('7'));
  server.answer = (name, payload) => {
    if (name === 'encrypt') needles.set('a key that was wrapped', Buffer.from(required(payload, tag.data, 'bytes')));
    return server.honest(name, payload);
  };
  const program = await bundled(join(import.meta.dirname, 'kmip-child.ts'));
  const address = `kmip://${server.host}/7`;
  const args = ['--expose-gc', program.path, authority.caFile, address, `${address}?use=get`];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    const [said] = await once(child.stdout, 'data');
    expect(String(said)).toBe('ready\n');
    expect(needles.size).toBe(3);
    const found = foundInMemory(child.pid as number, Object.fromEntries(needles));
    expect(found.some((place) => place.startsWith('the search itself'))).toBe(true);
    const keys = found.filter((place) => !place.startsWith('the search itself'));
    expect(keys.filter((place) => !place.includes(' in [stack] '))).toEqual([]);
  } finally {
    child.kill();
    await once(child, 'close');
    await server.close();
    program.remove();
    authority.remove();
  }
});
