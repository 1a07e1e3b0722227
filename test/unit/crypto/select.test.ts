import { expect, test } from 'vitest';
import { primitives } from '../../../src/crypto/select.ts';

test('OpenSSL is the choice where it can be called, and is made once per thread', () => {
  expect(primitives().name).toBe('openssl');
  expect(primitives()).toBe(primitives('openssl'));
});

test('either can be forced', () => {
  expect(primitives('openssl').name).toBe('openssl');
  expect(primitives('node').name).toBe('node');
});
