import { getFips } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MalformedError } from '../../../../src/base/bytes.ts';
import { CkptfsError } from '../../../../src/base/errors.ts';
import { Policies } from '../../../../src/cli/config/enforcement.ts';
import { parsePolicy, readFurtherPolicy, readHostPolicy } from '../../../../src/cli/config/policy.ts';
import { parseSettings } from '../../../../src/cli/config/settings-file.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ckptfs-policy-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const parse = (value: unknown) => parsePolicy(parseSettings(Buffer.from(JSON.stringify(value))));

function policiesOf(...rules: unknown[]): Policies {
  return new Policies(rules.map((each, at) => ({ path: `/p${at + 1}`, rules: parse(each) })));
}

describe('rules', () => {
  test('are kept as they are written', () => {
    const all = {
      requireSignature: true,
      trusted: ['/t'],
      minEpoch: 3,
      crlFile: ['/crl'],
      ocsp: 'auto',
      ciphers: ['aes-256-gcm'],
      keySources: ['file', 'private-key'],
      recipientChecks: { caFile: ['/ca'], crlFile: ['/crl'], ocsp: 'auto', force: false },
    };
    expect(parse(all)).toEqual(all);
    expect(parse({})).toEqual({});
  });

  test.each([
    [{ cipher: ['none'] }, /^cipher is not known/],
    [{ ciphers: ['rot13'] }, /^ciphers: it is one of/],
    [{ ciphers: [] }, /^ciphers: it is a list/],
    [{ keySources: ['http'] }, /^keySources: it is one of/],
    [{ requireSignature: 1 }, /^requireSignature: it is true or false/],
    [{ requireSignature: true }, /^requireSignature: trusted is missing/],
    [{ requireSignature: false, trusted: ['/t'] }, /^trusted: requireSignature is not true/],
    [{ minEpoch: 1 }, /^minEpoch: requireSignature is not true/],
    [{ requireSignature: true, trusted: ['t'] }, /^trusted: a path/],
    [{ recipientChecks: [] }, /^recipientChecks is not an object/],
    [{ recipientChecks: { caFiles: ['/c'] } }, /^recipientChecks\.caFiles is not known/],
    [{ recipientChecks: { ocsp: 'auto' } }, /^recipientChecks\.caFile is missing/],
    [{ recipientChecks: { caFile: ['c'] } }, /^recipientChecks\.caFile: a path/],
  ])('%j are refused', (value, message) => {
    expect(() => parse(value)).toThrow(message);
  });

  test('any bytes are read or refused as malformed', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.json().map(Buffer.from)), (bytes) => {
        try {
          parsePolicy(parseSettings(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError);
        }
      }),
    );
  });
});

describe('of several policies each has to allow', () => {
  test('a cipher', () => {
    const policies = policiesOf({ ciphers: ['aes-256-xts', 'aes-256-gcm'] }, { ciphers: ['none', 'aes-256-gcm'] }, {});
    policies.checkImage({ suite: 'default', cipher: 'aes-256-gcm' });
    expect(() => policies.checkImage({ suite: 'default', cipher: 'aes-256-xts' })).toThrow(
      'policy /p2 forbids images of cipher aes-256-xts',
    );
    expect(() => policies.checkImage({ suite: 'default', cipher: 'none' })).toThrow(
      'policy /p1 forbids images of cipher none',
    );
    expect(() => policies.checkImage({ suite: 'default', cipher: 'none' })).toThrow(
      expect.objectContaining({ code: 'forbidden-by-policy' }),
    );
  });

  test.skipIf(getFips() === 1)('a FIPS provider, which does not compute here', () => {
    expect(() => policiesOf({}, { fipsProvider: false }).checkProvider()).not.toThrow();
    expect(() => policiesOf({}, { fipsProvider: true }).checkProvider()).toThrow('policy /p2 forbids what no FIPS');
  });

  test('a suite, and no directory that CRIU encrypted', () => {
    const policies = policiesOf({}, { suite: 'fips' });
    policies.checkImage({ suite: 'fips', cipher: 'aes-256-gcm' });
    expect(() => policies.checkImage({ suite: 'default', cipher: 'aes-256-gcm' })).toThrow(
      'policy /p2 forbids images of suite default; it allows suite fips',
    );
    expect(() => policies.checkCriu()).toThrow('it allows images of suite fips');
    expect(() => policiesOf({ suite: 'default' }).checkCriu()).not.toThrow();
  });

  test.each([
    [{ keyFile: ['/k'] }, 'file'],
    [{ keyFile: ['-'] }, 'stdin'],
    [{ key: ['file:/k'] }, 'file'],
    [{ key: ['stdin:'] }, 'stdin'],
    [{ key: ['fd:3'] }, 'fd'],
    [{ key: ['env:K'] }, 'env'],
    [{ key: ['cmd:x'] }, 'cmd'],
    [{ key: ['https://h/'] }, 'https'],
    [{ key: ['keyring:k'] }, 'keyring'],
    [{ key: ['passphrase:'] }, 'passphrase'],
    [{ passphraseFile: '/p' }, 'passphrase'],
    [{ privateKey: ['/i'] }, 'private-key'],
    [{ keyDir: ['/d'] }, 'private-key'],
    [{ allowKeyUrl: ['https://h/'] }, 'https'],
    [{ recipient: ['env:K'] }, 'env'],
  ])('the source of %j: %s', (named, kind) => {
    policiesOf({ keySources: [kind] }, {}).checkKeys(named);
    const other = kind === 'fd' ? 'env' : 'fd';
    expect(() => policiesOf({ keySources: [kind] }, { keySources: [other] }).checkKeys(named)).toThrow(
      new RegExp(`^policy /p2 forbids .* \\(${kind}\\); it allows ${other}$`),
    );
  });

  test('what is no source is left to the command, and a key that was written for one is not repeated', () => {
    policiesOf({ keySources: ['file'] }).checkKeys({ key: ['00112233445566778899aabbccddeeff', 'hunter2:x'] });
  });

  test('both sources of a passphrase that a command writes', () => {
    const named = { key: ['passphrase:cmd:x'] };
    policiesOf({ keySources: ['passphrase', 'cmd'] }).checkKeys(named);
    for (const kind of ['passphrase', 'cmd']) {
      expect(() => policiesOf({ keySources: [kind] }).checkKeys(named)).toThrow('forbids');
    }
  });

  test('a forced recipient, unless it is not restricted', () => {
    policiesOf({ recipientChecks: { force: true } }).checkKeys({ force: true });
    expect(() => policiesOf({}, { recipientChecks: { force: false } }).checkKeys({ force: true })).toThrow(
      'policy /p2 forbids --force',
    );
  });
});

describe.runIf(process.geteuid?.() === 0)('a file', () => {
  function fileOf(name: string, text: string, mode = 0o644): string {
    const path = join(folder, name);
    writeFileSync(path, text);
    chmodSync(path, mode);
    return path;
  }
  const forbids = (read: () => unknown, message: RegExp) => {
    try {
      read();
    } catch (error) {
      expect(error).toBeInstanceOf(CkptfsError);
      expect(error).toMatchObject({ code: 'forbidden-by-policy', message: expect.stringMatching(message) });
      return;
    }
    throw new Error('it was accepted');
  };

  test('that is missing restricts nothing, but must be there if it was named', () => {
    expect(readHostPolicy(join(folder, 'none.json'))).toBeUndefined();
    expect(readHostPolicy(join(folder, 'none', 'none.json'))).toBeUndefined();
    forbids(() => readFurtherPolicy(join(folder, 'none.json')), /none\.json: there is no such file/);
  });

  test('that someone else may have changed forbids everything', () => {
    forbids(() => readHostPolicy(fileOf('p', '{}', 0o664)), /^nothing is opened or made: policy .*p: other users can/);
    forbids(() => readHostPolicy(fileOf('q', '{"x": 1}')), /q: x is not known/);
    forbids(() => readHostPolicy(fileOf('q', '')), /q: it is not JSON/);
    symlinkSync(fileOf('target', '{}'), join(folder, 'link'));
    forbids(() => readHostPolicy(join(folder, 'link')), /link: .*symbolic link/);
    symlinkSync(join(folder, 'nowhere'), join(folder, 'dangling'));
    forbids(() => readHostPolicy(join(folder, 'dangling')), /dangling: .*symbolic link/);
    chmodSync(folder, 0o777);
    forbids(() => readHostPolicy(join(folder, 'none.json')), /other users can change the directory/);
    chmodSync(folder, 0o700);
    expect(readHostPolicy(fileOf('good', '{"ciphers": ["none"]}'))?.rules).toEqual({ ciphers: ['none'] });
  });
});
