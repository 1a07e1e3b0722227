// Goal: after keys are wiped, none of them is anywhere in the memory of the process.
// Method: a child process opens a key slot and derives every key; its whole memory is searched before and after.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import {
  deriveHeaderMacKey,
  deriveJournalKey,
  deriveManifestKey,
  deriveManifestSealKey,
  deriveObjectDataKey,
  deriveObjectMacKey,
} from '../../src/crypto/image-keys.ts';
import { Secret } from '../../src/crypto/secret.ts';
import { primitives } from '../../src/crypto/select.ts';
import { keyText } from '../../src/keys/key-text.ts';
import { wrapIntoSlot } from '../../src/keys/slots/aes-key-wrap.ts';
import { namesInMemory } from '../support/memory.ts';

const directory = mkdtempSync(join(tmpdir(), 'ckptfs-trace-'));
afterAll(() => rmSync(directory, { recursive: true }));

test.each(['openssl', 'node'])('no key is left in memory after the wipe (%s)', { timeout: 60_000 }, async (name) => {
  const [wrappingKey, imageKey] = [Secret.random(32), Secret.random(32)];
  const [keyFile, slotFile] = [join(directory, `${name}.key`), join(directory, `${name}.json`)];
  const text = keyText(wrappingKey);
  writeFileSync(keyFile, text, { mode: 0o600 });
  writeFileSync(slotFile, JSON.stringify(await wrapIntoSlot(imageKey, Buffer.alloc(16, 1), wrappingKey)));

  const p = primitives();
  const [imageId, objectId] = [Buffer.alloc(16, 1), Buffer.alloc(16, 2)];
  const dataKey = Buffer.from(deriveObjectDataKey(p, 'aes-256-xts', imageKey, imageId, objectId).bytes);
  const manifestKey = deriveManifestKey(p, imageKey, imageId);
  const needles = new Map([
    ['chacha', Buffer.from(deriveObjectDataKey(p, 'chacha20-poly1305', imageKey, imageId, objectId).bytes)],
    ['gcm', Buffer.from(deriveObjectDataKey(p, 'aes-256-gcm', imageKey, imageId, objectId).bytes)],
    ['header', Buffer.from(deriveHeaderMacKey(p, imageKey, imageId).bytes)],
    ['image', Buffer.from(imageKey.bytes)],
    ['mac', Buffer.from(deriveObjectMacKey(p, 'aes-256-xts', imageKey, imageId, objectId).bytes)],
    ['journal', Buffer.from(deriveJournalKey(p, imageKey, imageId, objectId).bytes)],
    ['manifest', Buffer.from(manifestKey.bytes)],
    ['manifest seal', Buffer.from(deriveManifestSealKey(p, manifestKey, Buffer.alloc(24)).bytes)],
    ['text', text.subarray(0, 64)],
    ['wrapping', Buffer.from(wrappingKey.bytes)],
    ['xts data', dataKey.subarray(0, 32)],
    ['xts tweak', dataKey.subarray(32)],
  ]);

  const program = fileURLToPath(new URL('no-trace-child.ts', import.meta.url));
  const child = spawn(process.execPath, ['--expose-gc', '--import', 'tsx', program, keyFile, slotFile, name], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const said = async () => String((await once(child.stdout, 'data'))[0]).trim();
  expect(await said()).toBe('live');
  // That the scan sees keys at all; OpenSSL does not keep each one as it was given.
  expect(namesInMemory(child.pid ?? 0, needles)).toEqual(
    expect.arrayContaining(['header', 'image', 'journal', 'manifest', 'wrapping']),
  );
  child.stdin.write('\n');
  expect(await said()).toBe('wiped');
  expect(namesInMemory(child.pid ?? 0, needles)).toEqual([]);
  child.stdin.write('\n');
  await once(child, 'exit');
});
