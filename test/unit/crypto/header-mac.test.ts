import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { headerMac, verifyHeaderMac } from '../../../src/crypto/header-mac.ts';
import { Secret } from '../../../src/crypto/secret.ts';
import { primitives } from '../../../src/crypto/select.ts';

describe.each(['openssl', 'node'] as const)('%s', (name) => {
  const p = primitives(name);
  const key = Secret.random(32);
  const header = Buffer.from('{ "format": "ckptfs" }\n');

  test('is HMAC-SHA-256', () => {
    expect(headerMac(p, key, header)).toEqual(createHmac('sha256', key.bytes).update(header).digest());
  });

  test('verifies for this header, key and whole MAC only', () => {
    const mac = headerMac(p, key, header);
    expect(verifyHeaderMac(p, key, header, mac)).toBe(true);
    expect(verifyHeaderMac(p, key, header.subarray(1), mac)).toBe(false);
    expect(verifyHeaderMac(p, Secret.random(32), header, mac)).toBe(false);
    expect(verifyHeaderMac(p, key, header, mac.subarray(0, 31))).toBe(false);
    expect(verifyHeaderMac(p, key, header, Buffer.alloc(0))).toBe(false);
    for (let bit = 0; bit < 256; bit++) {
      const other = Buffer.from(mac);
      other[bit >> 3] = (other[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(verifyHeaderMac(p, key, header, other)).toBe(false);
    }
  });
});
