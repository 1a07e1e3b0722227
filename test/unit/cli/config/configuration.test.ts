import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MalformedError } from '../../../../src/base/bytes.ts';
import { parseConfiguration, readConfiguration } from '../../../../src/cli/config/configuration.ts';
import { configurationPaths } from '../../../../src/cli/config/places.ts';
import { configuredSettings } from '../../../../src/cli/config/settings.ts';
import { parseSettings } from '../../../../src/cli/config/settings-file.ts';

const KEY = '00112233445566778899aabbccddeeff';
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ckptfs-config-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function fileOf(name: string, text: unknown, mode = 0o600): string {
  const path = join(folder, name);
  writeFileSync(path, typeof text === 'string' ? text : JSON.stringify(text));
  chmodSync(path, mode);
  return path;
}

const parse = (value: unknown) => parseConfiguration(parseSettings(Buffer.from(JSON.stringify(value))));

describe('members', () => {
  test('name options, and keep their values', () => {
    const all = {
      keyFile: ['/k'],
      key: ['env:K', 'file:/k', 'passphrase:', 'passphrase:/p', 'passphrase:cmd:pass show k', 'https://h/k'],
      passphraseFile: '/p',
      privateKey: ['/i'],
      keyDir: ['/d'],
      allowKeyUrl: ['https://h/'],
      keyTimeout: 5,
      keyHeader: ['Authorization: Bearer @/t', 'X: env:V'],
      keyCaFile: '/ca',
      keyCert: '/c',
      keyCertKey: '/ck',
      recipient: ['/r', 'env:R', 'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p'],
      caFile: ['/ca'],
      crlFile: ['/crl'],
      ocsp: 'auto',
    };
    expect(parse(all)).toEqual(all);
  });

  test.each([
    [{ keyFiles: ['/k'] }, /^keyFiles is not known/],
    [{ force: true }, /^force is not known/],
    [{ [KEY]: 1 }, /^a member is not known/],
    [{ keyFile: '/k' }, /^keyFile: it is a list/],
    [{ keyFile: [] }, /^keyFile: it is a list/],
    [{ keyFile: ['k'] }, /^keyFile: a path begins with/],
    [{ keyFile: ['-'] }, /^keyFile: a path begins with/],
    [{ keyFile: [1] }, /^keyFile: it is a text/],
    [{ passphraseFile: 'p' }, /^passphraseFile: a path/],
    [{ passphraseFile: '' }, /^passphraseFile: it is empty/],
    [{ key: [KEY] }, /^key: it names a source/],
    [{ key: ['file:k'] }, /^key: a path/],
    [{ key: ['passphrase:p'] }, /^key: a path/],
    [{ recipient: ['host.crt'] }, /^recipient: it is a path/],
    [{ recipient: ['file:k'] }, /^recipient: a path/],
    [{ keyHeader: ['Authorization: Bearer @t'] }, /^keyHeader: a path/],
    [{ allowKeyUrl: ['http://h'] }, /^allowKeyUrl: it begins/],
    [{ keyTimeout: '5' }, /^keyTimeout: it is a whole number/],
    [{ keyTimeout: 0 }, /^keyTimeout: it is a whole number/],
    [{ ocsp: 'ftp://h' }, /^ocsp: it is auto/],
    [[], /^it is not an object/],
  ])('%j is refused, and not repeated', (value, message) => {
    expect(() => parse(value)).toThrow(message);
    expect(() => parse(value)).not.toThrow(new RegExp(KEY));
  });

  test('any bytes are read or refused as malformed', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.json().map(Buffer.from)), (bytes) => {
        try {
          parseConfiguration(parseSettings(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError);
        }
      }),
    );
  });
});

describe('where values are from', () => {
  test('the first file that is there holds alone', () => {
    const [first, second] = [fileOf('first', { keyFile: ['/a'] }), fileOf('second', { key: ['env:B'], ocsp: 'off' })];
    const read = (...paths: string[]) => readConfiguration({}, paths);
    expect(read(first, second).options).toEqual({ keyFile: ['/a'] });
    expect(read(join(folder, 'none'), second).options).toEqual({ key: ['env:B'], ocsp: 'off' });
    expect(read(join(folder, 'none'), second).origins.get('key')).toBe(second);
    expect(read(join(folder, 'none')).options).toEqual({});
  });

  test('CKPTFS_KEY comes before the keys of a file, and leaves what names no key', () => {
    const path = fileOf('both', {
      keyFile: ['/a'],
      recipient: ['/r'],
      keyHeader: ['A: env:T'],
      caFile: ['/ca'],
      keyCert: '/c',
    });
    const { options, origins } = readConfiguration({ CKPTFS_KEY: 'file:k' }, [path]);
    expect(options).toEqual({ key: ['file:k'], keyCert: '/c', caFile: ['/ca'] });
    expect([...origins]).toEqual([
      ['key', 'CKPTFS_KEY'],
      ['keyCert', path],
      ['caFile', path],
    ]);
  });

  test.each([KEY, `${KEY}\n`, ''])('CKPTFS_KEY=%j is refused, and not repeated', (value) => {
    const read = () => readConfiguration({ CKPTFS_KEY: value }, []);
    expect(read).toThrow(/^CKPTFS_KEY: it (names a source|is empty)/);
    expect(read).not.toThrow(/0011/);
  });

  test('a relative XDG_CONFIG_HOME counts as unset', () => {
    expect(configurationPaths({ XDG_CONFIG_HOME: '/x' })).toEqual(['/x/ckptfs/config.json', '/etc/ckptfs/config.json']);
    expect(configurationPaths({ XDG_CONFIG_HOME: 'x' })[0]).toMatch(/\/\.config\/ckptfs\/config\.json$/);
  });

  test('commands and queries of URLs are not shown', () => {
    const path = fileOf('shown', {
      key: ['cmd:echo secret', 'passphrase:cmd:x secret', 'https://h/k?t=secret', 'env:K'],
    });
    expect(configuredSettings(readConfiguration({}, [path]))).toEqual([
      { option: 'key', values: ['cmd:…', 'passphrase:cmd:…', 'https://h/k?…', 'env:K'], from: path },
    ]);
  });
});

describe('a file is refused', () => {
  const refusal = (path: string) => () => readConfiguration({}, [path]);

  test.each([0o620, 0o602])('of mode %o, which others can change', (mode) => {
    expect(refusal(fileOf('open', {}, mode))).toThrow(/open: other users can change it$/);
  });

  test('that is larger than it can be, or no JSON', () => {
    expect(refusal(fileOf('large', ' '.repeat(70_000)))).toThrow(/large: it is larger than 65536 bytes/);
    expect(refusal(fileOf('text', '12'))).toThrow(/text: it is not an object/);
    expect(refusal(fileOf('text', `{"key": ["${KEY}"`))).toThrow(/text: it is not JSON$/);
  });

  test('that is no regular file, but not a link to one', () => {
    mkdirSync(join(folder, 'directory'));
    expect(refusal(join(folder, 'directory'))).toThrow(/directory: it is not a regular file/);
    symlinkSync(fileOf('target', { keyFile: ['/a'] }), join(folder, 'link'));
    expect(refusal(join(folder, 'link'))()).toMatchObject({ options: { keyFile: ['/a'] } });
  });
});
