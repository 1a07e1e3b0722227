import { describe, expect, test } from 'vitest';
import { allowedFrom, guardedLookup, isLoopback, mayAsk } from '../../../../src/remote/http/reachable-addresses.ts';

const far = allowedFrom(new URL('https://registry.example/'));
const near = allowedFrom(new URL('http://localhost:5000/'));
const hostOf = (url: string): string => new URL(url).hostname;

describe('a server elsewhere points', () => {
  test.each(['http://10.0.0.1/', 'http://1.1.1.1/', 'http://[2606:4700::1111]/', 'http://registry.example/'])(
    'to %s',
    (url) => {
      expect(mayAsk(hostOf(url), far)).toBe(true);
    },
  );

  test.each([
    'http://127.0.0.1/',
    'http://127.1/',
    'http://2130706433/',
    'http://0x7f.0.0.1/',
    'http://0/',
    'http://[::1]/',
    'http://[::]/',
    'http://[::ffff:127.0.0.1]/',
    'http://localhost/',
    'http://localhost./',
    'http://a.localhost/',
    'http://169.254.169.254/',
    'http://[fe80::1]/',
    'http://[fd00:ec2::254]/',
    'http://[fd20:ce::254]/',
    'http://100.100.100.200/',
    'http://168.63.129.16/',
    'http://[::ffff:169.254.169.254]/',
  ])('not to %s', (url) => {
    expect(mayAsk(hostOf(url), far)).toBe(false);
  });
});

test('a server on this host points to this host, and not to its link', () => {
  expect(mayAsk('127.0.0.1', near)).toBe(true);
  expect(mayAsk('localhost', near)).toBe(true);
  expect(mayAsk('169.254.169.254', near)).toBe(false);
});

test('a name that leads to this host is found out when it is looked up', async () => {
  const look = (allows: (address: string) => boolean): Promise<string> =>
    new Promise((resolve) => {
      guardedLookup(allows)('localhost', {}, (error, address) => resolve(error?.code ?? String(address)));
    });
  expect(await look(far)).toBe('EINNER');
  expect(isLoopback(await look(near))).toBe(true);
});
