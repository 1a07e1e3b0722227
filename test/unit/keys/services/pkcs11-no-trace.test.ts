// Goal: once a key in a token is wiped, neither a PIN nor a content key is in the memory of the process.
// Method: a child makes and opens slots by a key of AES that is known here, so that its content keys are known too; its
// whole memory is searched, that of the module included.
import { spawn } from 'node:child_process';
import { createDecipheriv, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect } from 'vitest';
import type { Slot } from '../../../../src/format/slot.ts';
import { bundled } from '../../../support/bundled.ts';
import { namesInMemory } from '../../../support/memory.ts';
import { softHsmToken } from '../../../support/tokens.ts';
import { systemTest } from '../../../system/support/requirements.ts';

systemTest(['softHsm', 'root'], 'nothing is left of a PIN or a content key', async () => {
  const token = softHsmToken();
  const wrappingKey = randomBytes(32);
  token.importAes('known', wrappingKey);
  const program = await bundled(join(import.meta.dirname, 'service-child.ts'));
  const uris = [token.uri('known'), token.uri('known', 'env:CKPTFS_TEST_PIN'), token.uri('ec')];
  const child = spawn(process.execPath, ['--expose-gc', program.path, 'no authorities', 'no header field', ...uris], {
    env: { ...process.env, CKPTFS_TEST_PIN: token.pin },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(child, 'close');
  try {
    const lines = createInterface(child.stdout);
    const [line] = await Promise.race([once(lines, 'line'), once(lines, 'close')]);
    const slots = JSON.parse(String(line)) as Slot[];
    const contentKeys = slots.slice(0, 2).map(({ encrypted_key }) => {
      const decipher = createDecipheriv('id-aes256-wrap', wrappingKey, Buffer.alloc(8, 0xa6));
      return Buffer.concat([decipher.update(Buffer.from(encrypted_key, 'base64url')), decipher.final()]);
    });
    expect(contentKeys.map(({ length }) => length)).toEqual([32, 32]);
    const needles = new Map([
      ['the PIN', Buffer.from(token.pin)] as const,
      ...contentKeys.map((key, at) => [`content key ${at + 1}`, key] as const),
      ['the search itself', Buffer.from('service-child')] as const,
    ]);
    expect(namesInMemory(child.pid as number, needles)).toEqual(['the search itself']);
  } finally {
    child.kill();
    await ended;
    program.remove();
    token.remove();
  }
});
