import { expect, test } from 'vitest';
import { refuseSharedHeaders } from '../../../../src/cli/options/source-options.ts';

const keyHeader = ['X-Vault-Token: @token'];
const vault = 'vault://vault.example/transit/k';
const other = 'https://keys.example/k';

test.each([
  ['a server and a service', { key: [vault, other] }],
  ['what opens and what an image is made for', { key: [vault], recipient: [other] }],
  ['a beginning of URLs of another server', { key: [other], allowKeyUrl: ['https://others.example/'] }],
  ['another port', { key: [other, 'https://keys.example:444/k'] }],
])('header fields for several servers are refused: %s', (_what, named) => {
  expect(() => refuseSharedHeaders({ keyHeader, ...named })).toThrow('--key-header is for one server, and 2 are named');
  refuseSharedHeaders(named);
});

test.each([
  ['one server', { key: [vault] }],
  [
    'several keys of one server',
    { key: [other, 'https://keys.example:443/l'], allowKeyUrl: ['https://keys.example/'] },
  ],
  ['what gets no header fields', { key: [vault, 'kmip://kms.example/1', 'file:/k', 'cmd:echo https://x/'] }],
])('header fields are sent to %s', (_what, named) => {
  refuseSharedHeaders({ keyHeader, ...named });
});
