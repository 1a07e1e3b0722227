import { expect, test } from 'vitest';
import { trustOfAll } from '../../../../src/cli/config/signature-rules.ts';
import type { SignerTrust } from '../../../../src/crypto/signer.ts';

const key = { kty: 'OKP', crv: 'Ed25519', x: 'AA' } as const;

/** A trust in signers by the ids of their keys, that records whose certificate it checked. */
function trustIn(ids: readonly string[], checked: string[] = [], name = ''): SignerTrust {
  return {
    find: (id) =>
      ids.includes(id) ? { key, title: name + id, check: async () => void checked.push(name + id) } : undefined,
  };
}

test('a signer counts when every trust accepts it, and each checks its certificate', async () => {
  const checked: string[] = [];
  const both = trustOfAll([trustIn(['a', 'b'], checked, '1'), trustIn(['b', 'c'], checked, '2')]);
  expect(both.find('a', [])).toBeUndefined();
  expect(both.find('c', [])).toBeUndefined();
  const found = both.find('b', []);
  expect(found).toMatchObject({ key, title: '1b' });
  await found?.check();
  expect(checked).toEqual(['1b', '2b']);
});

test('without any trust there is no signer', () => {
  expect(trustOfAll([]).find('a', [])).toBeUndefined();
});
