import { expect, test } from 'vitest';
import { fipsFindings } from '../../../../src/cli/doctor/fips.ts';
import { host } from './described-host.ts';

const own = { name: 'default', version: '3.5.9', isFips: false };
const fips = { name: 'fips', version: '3.5.4', isFips: true };
const inMode = { '/proc/sys/crypto/fips_enabled': '1\n' };
const about = (subject: string, ...given: Parameters<typeof fipsFindings>) =>
  fipsFindings(...given).find((finding) => finding.subject.startsWith(subject));

test('the mode of the kernel is told', () => {
  expect(about('FIPS mode', host({ files: inMode }), own)).toMatchObject({ level: 'ok', found: 'on' });
  expect(about('FIPS mode', host({}), own)).toMatchObject({ level: 'ok', found: 'off' });
});

test('a provider that computes is named, with its version', () => {
  expect(about('FIPS provider', host({ files: inMode }), fips)).toMatchObject({
    level: 'ok',
    found: expect.stringMatching(/^active: fips 3\.5\.4 computes/),
  });
  expect(about('FIPS provider', host({}), { ...own, isFips: true })).toMatchObject({ level: 'warn' });
});

test('without one it tells whether a module is there, and warns where the kernel is in FIPS mode', () => {
  const path = '/usr/lib/x86_64-linux-gnu/ossl-modules/fips.so';
  const files = { [path]: '' };
  const directories = { '/usr/lib': ['x86_64-linux-gnu'] };
  expect(about('FIPS provider', host({ files, directories }), own)).toEqual({
    level: 'ok',
    subject: 'FIPS provider of OpenSSL',
    found: `not active: default 3.5.9 computes; ${path} is there`,
  });
  expect(about('FIPS provider', host({}), own)?.found).toContain('no module fips.so was found');
  expect(about('FIPS provider', host({ files: inMode }), own)).toMatchObject({ level: 'warn' });
  expect(about('FIPS provider', host({}), undefined)).toMatchObject({ level: 'ok' });
});
