import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { parseProviders, readProviders } from '../../../../src/keys/keyprovider/configuration.ts';

const directory = mkdtempSync(join(tmpdir(), 'ckptfs-keyproviders-'));
afterAll(() => rmSync(directory, { recursive: true }));

const parse = (value: unknown) =>
  Object.fromEntries(
    [...parseProviders(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)))].map(([name, place]) => [
      name,
      place(),
    ]),
  );

test('programs and servers, as ocicrypt documents them', () => {
  const providers = {
    isecl: { cmd: { path: '/usr/lib/ocicrypt-isecl', args: ['-v', ''] } },
    keyprotect: { cmd: { path: '/usr/lib/ocicrypt-keyprotect' } },
    keyvault: { grpc: 'localhost:50051' },
  };
  expect(parse({ 'key-providers': providers, other: 1 })).toEqual({
    isecl: { command: ['/usr/lib/ocicrypt-isecl', '-v', ''] },
    keyprotect: { command: ['/usr/lib/ocicrypt-keyprotect'] },
    keyvault: { grpc: 'localhost:50051' },
  });
  expect(parse({})).toEqual({});
});

test.each([
  ['{', 'it is not JSON'],
  [[], 'it is not an object'],
  [{ 'key-providers': [] }, 'key-providers is not an object'],
  [{ 'key-providers': { a: '/bin/x' } }, 'a is not an object'],
  [{ 'key-providers': { a: {} } }, 'a has neither cmd nor grpc'],
  [{ 'key-providers': { a: { cmd: {} } } }, 'a.cmd.path is not a text'],
  [{ 'key-providers': { a: { cmd: { path: '/x\0' } } } }, 'a.cmd.path is not a text'],
  [{ 'key-providers': { a: { cmd: { path: '/x', args: 'y' } } } }, 'a.cmd.args is not a list'],
  [{ 'key-providers': { a: { cmd: { path: '/x', args: [1] } } } }, 'a.cmd.args has what is no text'],
])('%j is refused', (value, message) => {
  expect(() => parse(value)).toThrow(message);
});

test('a provider that is wrong does not keep from the others', () => {
  const providers = parseProviders(Buffer.from('{"key-providers":{"new":{"wasm":"x"},"a":{"grpc":"localhost:1"}}}'));
  expect(providers.get('a')?.()).toEqual({ grpc: 'localhost:1' });
  expect(providers.get('new')).toThrow('new has neither cmd nor grpc');
});

test('one that others can change is refused, since it names programs', () => {
  const path = join(directory, 'config');
  writeFileSync(path, '{"key-providers":{"a":{"cmd":{"path":"/x"}}}}', { mode: 0o644 });
  expect([...readProviders(path).keys()]).toEqual(['a']);
  chmodSync(path, 0o664);
  expect(() => readProviders(path)).toThrow('other users can change it');
  expect(() => readProviders(join(directory, 'absent'))).toThrow('there is no such file');
});
