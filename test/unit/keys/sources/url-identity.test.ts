// Goal: a person who can write key slots leads a reader, and its secret header fields, nowhere that was not allowed.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { Secret } from '../../../../src/crypto/secret.ts';
import type { Slot } from '../../../../src/format/slot.ts';
import { parseHeaderField } from '../../../../src/keys/sources/https-headers.ts';
import { urlIdentity } from '../../../../src/keys/sources/url-identity.ts';
import { symmetricKeyProvider } from '../../../../src/keys/symmetric-key.ts';
import { KeyServer } from '../../../support/key-server.ts';
import { TlsAuthority } from '../../../support/tls-authority.ts';

const authority = new TlsAuthority();
const certificate = authority.issue('server', 'IP:127.0.0.1');
const options = { caFile: authority.caFile, timeoutSeconds: 60 };
const imageId = Buffer.alloc(16, 0x1d);
const imageKey = Secret.random(32);
const key = 'c3'.repeat(32);

let server: KeyServer;
let elsewhere: KeyServer;
beforeAll(async () => {
  server = await KeyServer.start(certificate, (request, response) => {
    if (request.url?.includes('absent')) response.writeHead(404).end();
    else response.end(request.url?.includes('other') ? 'd4'.repeat(32) : key);
  });
  elsewhere = await KeyServer.start(certificate, (_request, response) => response.end(key));
});
afterAll(async () => {
  for (const one of [server, elsewhere]) await one.close();
  authority.remove();
});
beforeEach(() => {
  for (const one of [server, elsewhere]) one.asked.length = 0;
});

/** Makes a slot as `--key URL` does. */
function slotOf(url: string): Promise<Slot> {
  const wrapping = Secret.copy(Buffer.from(key, 'hex'));
  return symmetricKeyProvider(wrapping, url, { kind: 'key', url }).wrap(imageKey, imageId);
}

/** Returns the number of the slot that the keys below `/keys` open. */
async function open(...urls: string[]): Promise<number | undefined> {
  const slots = await Promise.all(urls.map(slotOf));
  const opened = await urlIdentity([`${server.url}/keys`], options).unwrap(slots, imageId);
  if (opened !== undefined) expect(Buffer.from(opened.imageKey.bytes)).toEqual(Buffer.from(imageKey.bytes));
  return opened?.slot;
}

test.each(['/keys', '/keys/a', '/keys/a/b%20c', '/keys/.a', '/x/../keys/a'])('%s is below /keys', async (path) => {
  expect(await open(`${server.url}${path}`)).toBe(0);
});

test.each([
  '/',
  '/keys2',
  '/secret',
  '/keys/../secret',
  '/keys/%2e%2e/secret',
  '/keys/..%2fsecret',
  '/keys/..%2Fsecret',
  '/keys/..%5csecret',
  '/keys/..%5Csecret',
  '/keys/%2E%2E%2Fsecret',
  '/keys/..%252fsecret',
  '/keys/..;/secret',
  '/keys/..\\secret',
  '/keys\\a',
  '/keys//secret',
  '//keys/a',
  '/keys/a?file=/secret',
  '/keys/a?',
  '/keys/a#secret',
])('%s is not asked for', async (path) => {
  expect(await open(`${server.url}${path}`)).toBeUndefined();
  expect(server.asked).toEqual([]);
});

test('another server, another port, and a user name are not asked', async () => {
  const { port } = server;
  const urls = [
    `${elsewhere.url}/keys/a`,
    `https://localhost:${port}/keys/a`,
    `https://user@127.0.0.1:${port}/keys/a`,
    `https://user:password@127.0.0.1:${port}/keys/a`,
    `https://127.0.0.1:${port}@127.0.0.1:${elsewhere.port}/keys/a`,
  ];
  expect(await open(...urls)).toBeUndefined();
  expect([...server.asked, ...elsewhere.asked]).toEqual([]);
});

test('a URL that fails, or gives another key, leaves the others to be tried', async () => {
  expect(await open(...['absent', 'other', 'a'].map((name) => `${server.url}/keys/${name}`))).toBe(2);
  expect(server.asked).toEqual(['/keys/absent', '/keys/other', '/keys/a']);
});

test('each request has a header field whose value is in a variable', async () => {
  process.env['CKPTFS_TEST_TOKEN'] = 'token';
  const headers = [parseHeaderField('X-Token: env:CKPTFS_TEST_TOKEN')];
  const seen: unknown[] = [];
  const answer = elsewhere.answer;
  elsewhere.answer = (request, response) => {
    seen.push(request.headers['x-token']);
    response.writeHead(404).end();
  };
  const slots = await Promise.all(['a', 'b'].map((name) => slotOf(`${elsewhere.url}/${name}`)));
  const identity = urlIdentity([elsewhere.url], { ...options, headers });
  await expect(identity.unwrap(slots, imageId)).rejects.toThrow('it answers 404');
  elsewhere.answer = answer;
  expect(seen).toEqual(['token', 'token']);
});

test('the first failure is told if no key opens the image', async () => {
  const urls = ['absent1', 'absent2', 'other'].map((name) => `${server.url}/keys/${name}`);
  await expect(open(...urls)).rejects.toThrow(`${urls[0]}: it answers 404`);
  expect(server.asked).toHaveLength(3);
});

test('eight URLs are asked at most', async () => {
  const urls = Array.from({ length: 20 }, (_, at) => `${server.url}/keys/other${at}`);
  expect(await open(...urls)).toBeUndefined();
  expect(server.asked).toHaveLength(8);
});

test.each(['http://a/', 'https://a/?b', 'https://a/#b', 'https://u@a/', 'https://a/%2e%2e/', 'https://a//', 'a'])(
  '%s is no beginning',
  (prefix) => {
    expect(() => urlIdentity([prefix], options)).toThrow('is not the beginning of a plain https URL');
  },
);

/** Lets the other server answer by the path alone, for as long as the work lasts. */
async function answering(answer: KeyServer['answer'], work: () => Promise<void>): Promise<void> {
  const before = elsewhere.answer;
  elsewhere.answer = answer;
  try {
    await work();
  } finally {
    elsewhere.answer = before;
  }
}

test.each(['/secret', '/keys2/a', '../secret', '/keys/..%2fsecret', '/keys/b?file=/secret', '/keys//secret'])(
  'a redirect to %s, on the same server, is not followed',
  async (location) => {
    await answering(
      (request, response) =>
        request.url === '/keys/a' ? response.writeHead(302, { location }).end() : response.end(key),
      async () => {
        const slots = [await slotOf(`${elsewhere.url}/keys/a`)];
        const identity = urlIdentity([`${elsewhere.url}/keys`, `${server.url}/`], options);
        await expect(identity.unwrap(slots, imageId)).rejects.toThrow('it redirects to a place that was not allowed');
        expect(elsewhere.asked).toEqual(['/keys/a']);
      },
    );
  },
);

test('a redirect is followed within the prefix that allows the URL, and not within another', async () => {
  await answering(
    (request, response) => {
      const location = { '/keys/a': 'c', '/keys/b': '/other/b' }[request.url ?? ''];
      if (location === undefined) response.end(key);
      else response.writeHead(302, { location }).end();
    },
    async () => {
      const identity = urlIdentity([`${elsewhere.url}/keys`, `${elsewhere.url}/other`], options);
      expect((await identity.unwrap([await slotOf(`${elsewhere.url}/keys/a`)], imageId))?.slot).toBe(0);
      const other = [await slotOf(`${elsewhere.url}/keys/b`)];
      await expect(identity.unwrap(other, imageId)).rejects.toThrow('a place that was not allowed');
      expect(elsewhere.asked).toEqual(['/keys/a', '/keys/c', '/keys/b']);
    },
  );
});

test('all URLs of an image have the time together', async () => {
  await answering(
    () => undefined,
    async () => {
      const slots = await Promise.all(Array.from({ length: 8 }, (_, at) => slotOf(`${elsewhere.url}/keys/${at}`)));
      const identity = urlIdentity([elsewhere.url], { ...options, timeoutSeconds: 1 });
      await expect(identity.unwrap(slots, imageId)).rejects.toMatchObject({
        code: 'key-unavailable',
        data: { reason: 'timeout' },
        message: expect.stringMatching(/\/keys\/0: no answer within 1 second; 7 more URLs were not asked$/),
      });
      expect(elsewhere.asked).toEqual(['/keys/0']);
    },
  );
});
