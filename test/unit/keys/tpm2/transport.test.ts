import { expect, test } from 'vitest';
import { parseTcti } from '../../../../src/keys/tpm2/transport.ts';

test.each([
  ['device', { device: '/dev/tpmrm0' }],
  ['device:/dev/tpm1', { device: '/dev/tpm1' }],
  ['swtpm', { host: '127.0.0.1', port: 2321 }],
  ['swtpm:path=/run/tpm', { path: '/run/tpm' }],
  ['swtpm:host=h,port=7', { host: 'h', port: 7 }],
  ['swtpm:port=7', { host: '127.0.0.1', port: 7 }],
])('%s', (text, place) => {
  expect(parseTcti(text)).toEqual(place);
});

test.each([
  '',
  'tabrmd',
  'mssim:port=7',
  'swtpm:path=x',
  'swtpm:path=/x,port=7',
  'swtpm:port=x',
  'swtpm:a=b',
  'Device:/x',
])('%s names no TPM that is known', (text) => {
  expect(parseTcti(text)).toBeUndefined();
});
