import { expect, test, vi } from 'vitest';
import { primitives } from '../../../src/crypto/select.ts';

// No Node on this machine lacks the functions, so what binds them is replaced.
vi.mock('../../../src/crypto/libcrypto.ts', () => ({
  loadLibCrypto: () => {
    throw new Error("Cannot find function 'EVP_CIPHER_fetch'");
  },
}));

test("uses node:crypto where OpenSSL's functions cannot be bound", () => {
  expect(primitives().name).toBe('node');
  expect(() => primitives('openssl')).toThrow('EVP_CIPHER_fetch');
});
