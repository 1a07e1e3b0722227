import { expect, test } from 'vitest';
import { CkptfsError, toPlainError } from '../../../../src/base/errors.ts';
import {
  type FetcherOrder,
  type FetcherReady,
  parseFetcherOrder,
  parseFetcherReport,
} from '../../../../src/remote/lazy/fetcher-order.ts';

const order: FetcherOrder = {
  url: 's3://bucket/web',
  remote: { jobs: 8, timeoutSeconds: 60, caFile: '/etc/ca.pem', s3Endpoint: 'https://s3.local', plainHttp: false },
  cache: { directory: '/var/cache/ckptfs', size: 10_737_418_240 },
  prefetch: { kind: 'file', path: '/srv/web.profile' },
  imageId: '0123456789abcdef0123456789abcdef',
};
const ready: FetcherReady = {
  image: '/var/cache/ckptfs/images/x/image',
  socket: '/var/cache/ckptfs/sockets/x',
  cache: '/var/cache/ckptfs',
  imageId: '0123456789abcdef0123456789abcdef',
  blocks: 40_960,
};

test('an order is what it was', () => {
  expect(parseFetcherOrder(JSON.stringify(order))).toEqual(order);
});

test.each([
  'null',
  '[]',
  '{',
  JSON.stringify({ ...order, url: 7 }),
  JSON.stringify({ ...order, remote: { ...order.remote, jobs: 0 } }),
  JSON.stringify({ ...order, remote: { ...order.remote, caFile: 'ca.pem' } }),
  JSON.stringify({ ...order, cache: { directory: 'cache', size: 1 } }),
  JSON.stringify({ ...order, cache: { directory: '/cache', size: -1 } }),
  JSON.stringify({ ...order, prefetch: { kind: 'some' } }),
  JSON.stringify({ ...order, prefetch: { kind: 'file' } }),
  JSON.stringify({ ...order, imageId: 'x' }),
])('is no order: %s', (line) => {
  expect(() => parseFetcherOrder(line)).toThrow('got no order');
});

test('a report says that a fetcher serves, or why it does not', () => {
  expect(parseFetcherReport(JSON.stringify({ ready }))).toEqual(ready);
  const fault = new CkptfsError('store-unavailable', 's3://x: no answer', { data: { reason: 'timeout' } });
  const failed = JSON.stringify({ failed: toPlainError(fault) });
  expect(() => parseFetcherReport(failed)).toThrow(expect.objectContaining({ code: 'store-unavailable' }));
});

test.each([
  '',
  '{}',
  '{"ready":{}}',
  JSON.stringify({ ready: { ...ready, socket: 'x' } }),
  JSON.stringify({ ready: { ...ready, imageId: 7 } }),
  JSON.stringify({ ready: { ...ready, blocks: 1.5 } }),
  '{"failed":{"code":"none","message":"x"}}',
])('is no report: %s', (line) => {
  expect(() => parseFetcherReport(line)).toThrow(expect.objectContaining({ code: 'internal' }));
});
