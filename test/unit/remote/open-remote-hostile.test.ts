// Goal: whatever a bucket or a registry answers, a command ends, soon, with one line that says what is wrong, and no
// credential goes to another server. Method: servers on the loopback interface that answer wrongly, each in one way.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { RequestListener, ServerResponse } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { CkptfsError } from '../../../src/base/errors.ts';
import { encodeRemoteIndex, type RemotePart } from '../../../src/format/remote-index.ts';
import { HttpClient } from '../../../src/remote/http/http-client.ts';
import { encodeImageManifest } from '../../../src/remote/oci/image-manifest.ts';
import { encodeProfileManifest } from '../../../src/remote/oci/profile-manifest.ts';
import { listRemote, type RemoteOptions, withRemote } from '../../../src/remote/open-remote.ts';
import type { RemoteStore } from '../../../src/remote/shared/remote-store.ts';
import { HttpServer } from '../../support/http-server.ts';
import { indexOf, partOf, putBytes } from './contract.ts';

const bytes = Buffer.alloc(5000, 'part');
const part = partOf(bytes);
const patient = 600;

let server: HttpServer;
let other: HttpServer;
beforeAll(async () => {
  [server, other] = await Promise.all([HttpServer.start(), HttpServer.start()]);
});
afterAll(() => Promise.all([server.close(), other.close()]));
beforeEach(() => {
  for (const one of [server, other]) {
    one.asked.length = 0;
    one.answer = (_request, response) => response.writeHead(404).end();
  }
});

const signal = new AbortController().signal;
const password = Buffer.from('user:s3cret-password').toString('base64');

function options(rest: Partial<RemoteOptions> = {}): RemoteOptions {
  const environment = {
    HOME: '/nonexistent',
    AWS_ACCESS_KEY_ID: 'AKID',
    AWS_SECRET_ACCESS_KEY: 's3cret-key',
    AWS_ENDPOINT_URL_S3: server.url,
  };
  return { jobs: 1, signal, timeoutSeconds: patient, environment, ...rest };
}

const bucket = <T>(use: (store: RemoteStore) => Promise<T>, rest?: Partial<RemoteOptions>): Promise<T> =>
  withRemote('s3://bucket/image', options(rest), use);
const registry = <T>(use: (store: RemoteStore) => Promise<T>, rest?: Partial<RemoteOptions>): Promise<T> =>
  withRemote(`oci://${server.host}/web:1`, options({ plainHttp: true, ...rest }), use);

/** Returns the code and the reason of a refusal, and its one line. */
async function refusal(work: Promise<unknown>): Promise<readonly [code: string, reason: unknown, message: string]> {
  const error = await work.then(
    () => {
      throw new Error('it was done');
    },
    (failure: CkptfsError) => failure,
  );
  expect(error.message).not.toMatch(/s3cret|AKID|\n/);
  return [error.code, (error.data as { reason?: string } | undefined)?.reason, error.message];
}

const wholePart = (store: RemoteStore): Promise<void> => store.getRange(part, 0, part.size, () => undefined);
const endOfPart = (store: RemoteStore): Promise<void> => store.getRange(part, 4096, part.size, () => undefined);

/** Answers the whole part, or the range of it that was asked for. */
const honest: RequestListener = (request, response) => {
  const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
  if (start === undefined) response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
  else {
    const range = bytes.subarray(Number(start), Number(end) + 1);
    const field = `bytes ${start}-${end}/${bytes.length}`;
    response.writeHead(206, { 'content-length': range.length, 'content-range': field }).end(range);
  }
};

const endless = (response: ServerResponse): void => {
  const more = (): void => {
    while (!response.destroyed && response.write(Buffer.alloc(65_536, 'x')));
    if (!response.destroyed) response.once('drain', more);
  };
  more();
};

describe.each([
  ['a bucket', bucket],
  ['a registry', registry],
] as const)('%s', (_, open) => {
  test('that is honest gives a part, and any range of it', async () => {
    server.answer = honest;
    await open(wholePart);
    await open(endOfPart);
  });

  test('that sends bytes has more time for each of them', async () => {
    let received = 0;
    vi.spyOn(HttpClient.prototype, 'persist').mockImplementation((_location, _sent, attempt) =>
      attempt(signal, (count) => {
        received += count;
      }),
    );
    server.answer = honest;
    await open(wholePart);
    expect(received).toBe(bytes.length);
  });

  test.each<[string, RequestListener, (store: RemoteStore) => Promise<void>, string, string]>([
    [
      'another range',
      (_q, r) => r.writeHead(206, { 'content-range': 'bytes 0-903/5000' }).end(bytes.subarray(0, 904)),
      endOfPart,
      'garbage',
      'another range than bytes 4096 to 4999',
    ],
    ['no range where one was asked for', (_q, r) => r.writeHead(200).end(bytes), endOfPart, 'garbage', 'another range'],
    [
      'a range of another size',
      (_q, r) => r.writeHead(206, { 'content-range': 'bytes 4096-4999/5000', 'content-length': 10 }).end('0123456789'),
      endOfPart,
      'garbage',
      'sends 10 bytes where 904',
    ],
    [
      'more bytes than were asked for',
      (_q, r) => r.writeHead(200).end(Buffer.alloc(5001)),
      wholePart,
      'garbage',
      'more than the 5000 bytes',
    ],
    ['bytes without end', (_q, r) => endless(r.writeHead(200)), wholePart, 'garbage', 'more than the 5000 bytes'],
    [
      'an index without end',
      (_q, r) => endless(r.writeHead(200)),
      async (store) => void (await store.readIndex()),
      'garbage',
      'has more than',
    ],
    [
      'a profile without end',
      (_q, r) => endless(r.writeHead(200)),
      async (store) => void (await store.readProfile()),
      'garbage',
      'has more than',
    ],
    ['an error without end', (_q, r) => endless(r.writeHead(403)), wholePart, 'denied', '403'],
    [
      'fields without end',
      (_q, r) => r.writeHead(200, { 'x-much': 'y'.repeat(100_000) }).end(),
      wholePart,
      'garbage',
      'does not speak the protocol',
    ],
    ['403', (_q, r) => r.writeHead(403).end(), wholePart, 'denied', '403'],
    ['418', (_q, r) => r.writeHead(418).end('\x1b[31mtea\n'), wholePart, 'refused', '418'],
  ])('that answers %s is refused', async (_what, answer, use, reason, said) => {
    server.answer = answer;
    const [code, why, message] = await refusal(open(use));
    expect([code, why]).toEqual(['store-unavailable', reason]);
    expect(message).toContain(said);
  });

  test('that lacks a part is damaged', async () => {
    expect((await refusal(open(wholePart)))[0]).toBe('damaged');
  });

  test.each([500, 502, 503, 429])('that answers %i for a while is asked again', async (status) => {
    let asked = 0;
    server.answer = (request, response) => {
      if (asked++ < 2) response.writeHead(status, { 'retry-after': '0' }).end();
      else honest(request, response);
    };
    await open(wholePart);
  });

  test('that cuts its answers is asked for the rest', async () => {
    const got: Buffer[] = [];
    let asked = 0;
    server.answer = (request, response) => {
      if (asked++ >= 3) return honest(request, response);
      const start = Number(/\d+/.exec(request.headers.range ?? '')?.[0] ?? 0);
      const field = start === 0 ? {} : { 'content-range': `bytes ${start}-4999/5000` };
      response.writeHead(start === 0 ? 200 : 206, { 'content-length': 5000 - start, ...field });
      response.write(bytes.subarray(start, start + 100), () => response.destroy());
    };
    await open((store) => store.getRange(part, 0, part.size, (chunk) => got.push(Buffer.from(chunk))));
    expect(Buffer.concat(got).equals(bytes)).toBe(true);
    expect(asked).toBeGreaterThan(1);
  });

  test.each<[string, RequestListener]>([
    ['does not answer', () => undefined],
    ['drips', (_q, r) => r.writeHead(200, { 'content-length': 5000 }).write('x')],
    ['answers 503 for ever', (_q, r) => r.writeHead(503).end()],
    [
      'speaks another protocol',
      ({ socket }) => socket.end('HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'),
    ],
  ])('that %s is given up in time, and at once by a signal', async (_what, answer) => {
    server.answer = answer;
    const [code, reason, message] = await refusal(open(wholePart, { timeoutSeconds: 1 }));
    expect([code, reason]).toEqual(['store-unavailable', 'timeout']);
    expect(message).toMatch(/within 1 second$/);
    const controller = new AbortController();
    const ended = refusal(open(wholePart, { signal: controller.signal }));
    setTimeout(() => controller.abort(), 50);
    expect((await ended)[0]).toBe('interrupted');
  });

  test('is not asked for an upload again that it does not want', async () => {
    server.answer = (_request, response) => response.writeHead(403).end();
    expect((await refusal(open((store) => putBytes(store, bytes))))[1]).toBe('denied');
  });
});

describe('a bucket', () => {
  test('that redirects to another server is not followed, and its region is told', async () => {
    server.answer = (_request, response) =>
      response.writeHead(301, { location: other.url, 'x-amz-bucket-region': 'eu-north-1' }).end();
    const [, reason, message] = await refusal(bucket(wholePart));
    expect(reason).toBe('refused');
    expect(message).toContain('the region eu-north-1');
    expect(other.asked).toEqual([]);
  });

  test.each([
    ['garbage', 'hello'],
    ['a listing that does not go on', '<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>'],
    ['a name that is not one', '<ListBucketResult><Key>%zz</Key></ListBucketResult>'],
  ])('that lists %s is refused', async (_what, text) => {
    server.answer = (_request, response) => response.end(text);
    expect((await refusal(listRemote('s3://bucket', options())))[1]).toBe('garbage');
  });

  test('that lists places without end is given up', async () => {
    let asked = 0;
    server.answer = (request, response) => {
      const prefix = new URL(request.url ?? '', server.url).searchParams.get('prefix') ?? '';
      asked++;
      const names = Array.from(
        { length: 200 },
        (_, index) => `<CommonPrefixes><Prefix>${prefix}${index}/</Prefix></CommonPrefixes>`,
      );
      response.end(`<ListBucketResult>${names.join('')}</ListBucketResult>`);
    };
    expect((await refusal(listRemote('s3://bucket', options())))[1]).toBe('garbage');
    expect(asked).toBeLessThan(100);
  });

  test('that lists names without end is given up', async () => {
    let asked = 0;
    server.answer = (_request, response) => {
      const next = `<IsTruncated>true</IsTruncated><NextContinuationToken>${asked++}</NextContinuationToken>`;
      response.end(`<ListBucketResult>${next}</ListBucketResult>`);
    };
    expect((await refusal(listRemote('s3://bucket', options())))[1]).toBe('garbage');
  });

  test('that lists a place which leads to another one does not lead there', async () => {
    server.answer = (_request, response) =>
      response.end('<ListBucketResult><CommonPrefixes><Prefix>../other/</Prefix></CommonPrefixes></ListBucketResult>');
    expect(await listRemote('s3://bucket', options())).toEqual([]);
    expect(server.asked).toHaveLength(1);
  });

  test('that lists what is no part of an image does not get it removed', async () => {
    const names = [`image/parts/sha256/${part.digest}`, `other/parts/sha256/${part.digest}`, 'image/parts/sha256/note'];
    server.answer = ({ method }, response) => {
      if (method !== 'GET') return response.end();
      return response.end(`<ListBucketResult>${names.map((name) => `<Key>${name}</Key>`).join('')}</ListBucketResult>`);
    };
    await bucket((store) => store.remove());
    const removed = server.asked.map(({ line }) => line).filter((line) => line.startsWith('DELETE'));
    expect(removed).toEqual([
      'DELETE /bucket/image/ckptfs-image.json',
      'DELETE /bucket/image/ckptfs-profile.json',
      `DELETE /bucket/${names[0]}`,
    ]);
  });

  test('that does not let this user look has nothing removed', async () => {
    server.answer = ({ method }, response) => response.writeHead(method === 'HEAD' ? 403 : 204).end();
    expect((await refusal(bucket((store) => store.remove())))[1]).toBe('denied');
    expect(server.asked.filter(({ line }) => line.startsWith('DELETE'))).toEqual([]);
  });

  test('is asked with a signature, and never shown the secret', async () => {
    server.answer = honest;
    await bucket(wholePart);
    expect(server.asked[0]?.authorization).toMatch(
      /^AWS4-HMAC-SHA256 Credential=AKID\/\d{8}\/us-east-1\/s3\/aws4_request/,
    );
    expect(JSON.stringify(server.asked)).not.toContain('s3cret');
  });

  test('that takes credentials for expired is asked again with those of the container, which are new', async () => {
    let given = 0;
    other.answer = (_request, response) => {
      const Expiration = new Date(Date.now() + 3_600_000).toISOString();
      response.end(JSON.stringify({ AccessKeyId: `KEY${given++}`, SecretAccessKey: 's3cret', Token: 't', Expiration }));
    };
    server.answer = (request, response) => {
      if (request.headers.authorization?.includes('KEY0') === true)
        response.writeHead(400).end('<Error><Code>ExpiredToken</Code></Error>');
      else honest(request, response);
    };
    const environment = {
      HOME: '/nonexistent',
      AWS_ENDPOINT_URL_S3: server.url,
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${other.url}/credentials`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN: 'token of the container',
    };
    const jobs = 8;
    const several = async (store: RemoteStore): Promise<void> =>
      void (await Promise.all(Array.from({ length: jobs }, () => wholePart(store))));
    await bucket(several, { environment, jobs });
    expect(given).toBe(2);
    expect(other.asked[0]?.authorization).toBe('token of the container');
  });
});

describe('a registry', () => {
  /** Runs with a file that has a password for the server. */
  async function loggedIn<T>(use: (rest: Partial<RemoteOptions>) => Promise<T>): Promise<T> {
    const directory = mkdtempSync(join(tmpdir(), 'ckptfs-auth-'));
    const file = join(directory, 'auth.json');
    writeFileSync(file, JSON.stringify({ auths: { [server.host]: { auth: password } } }));
    try {
      return await use({ environment: { HOME: '/nonexistent', REGISTRY_AUTH_FILE: file } });
    } finally {
      rmSync(directory, { recursive: true });
    }
  }

  const challenge =
    (realm: string): RequestListener =>
    (request, response) => {
      if (request.headers.authorization === 'Bearer good') honest(request, response);
      else
        response
          .writeHead(401, { 'www-authenticate': `Bearer realm="${realm}",service="s",scope="repository:web:pull"` })
          .end();
    };

  test('that wants a token gets one of its token server, for which the password is', async () => {
    other.answer = (_request, response) => response.end('{"token":"good"}');
    server.answer = challenge(`${other.url}/token`);
    await loggedIn((rest) => registry(wholePart, rest));
    expect(other.asked).toEqual([
      { line: 'GET /token?service=s&scope=repository%3Aweb%3Apull', authorization: `Basic ${password}` },
    ]);
    expect(server.asked.map(({ authorization }) => authorization)).toEqual([undefined, 'Bearer good']);
  });

  test.each([
    ['its link', 'http://169.254.169.254/token'],
    ['another server by http', 'http://registry.invalid/token'],
    ['a file', 'file:///etc/passwd'],
    ['nothing', ''],
  ])('that names a token server at %s is refused', async (_what, realm) => {
    server.answer = challenge(realm);
    const [code, reason] = await refusal(loggedIn((rest) => registry(wholePart, rest)));
    expect([code, reason]).toEqual(['store-unavailable', 'refused']);
  });

  test.each([
    ['no token', '{}'],
    ['a token that is no field', '{"token":"a\\r\\nb: c"}'],
    ['garbage', '<html>'],
  ])('whose token server answers %s is refused', async (_what, text) => {
    other.answer = (_request, response) => response.end(text);
    server.answer = challenge(`${other.url}/token`);
    expect((await refusal(registry(wholePart)))[1]).toBe('garbage');
  });

  test('that wants a token again and again is refused', async () => {
    other.answer = (_request, response) => response.end(`{"token":"bad${Math.random()}"}`);
    server.answer = challenge(`${other.url}/token`);
    expect((await refusal(registry(wholePart)))[1]).toBe('denied');
    expect(other.asked).toHaveLength(1);
  });

  test('that wants a token of several requests at once lets all of them in by one', async () => {
    other.answer = (_request, response) => response.end('{"token":"good"}');
    server.answer = challenge(`${other.url}/token`);
    const several = { jobs: 4 };
    await registry(async (store) => void (await Promise.all([1, 2, 3, 4].map(() => wholePart(store)))), several);
  });

  test('that redirects a download is followed, without what lets this user in', async () => {
    other.answer = honest;
    server.answer = (request, response) => {
      if (request.headers.authorization === undefined)
        response.writeHead(401, { 'www-authenticate': 'Basic realm="test"' }).end();
      else response.writeHead(307, { location: `${other.url}/blob` }).end();
    };
    await loggedIn((rest) => registry(wholePart, rest));
    expect(other.asked).toEqual([{ line: 'GET /blob', authorization: undefined }]);
    expect(server.asked.at(-1)?.authorization).toBe(`Basic ${password}`);
  });

  test.each([
    ['the metadata of an instance', 'http://169.254.169.254/latest/meta-data/', 'an address of this host'],
    ['the same, written otherwise', 'http://[::ffff:a9fe:a9fe]/latest/', 'an address of this host'],
    ['a file', 'file:///etc/passwd', 'a place that is not asked'],
    ['a place with a password', 'http://a:b@localhost/', 'a place that is not asked'],
    ['itself', '/v2/web/blobs/again', 'more than 3 redirects'],
  ])('that redirects a download to %s is refused', async (_what, location, said) => {
    server.answer = (_request, response) => response.writeHead(307, { location }).end();
    const [code, reason, message] = await refusal(registry(wholePart));
    expect([code, reason]).toEqual(['store-unavailable', 'refused']);
    expect(message).toContain(said);
  });

  test('that takes an upload elsewhere gets it there, without what lets this user in', async () => {
    const uploaded: Buffer[] = [];
    other.answer = (request, response) => {
      request.on('data', (chunk: Buffer) => uploaded.push(chunk)).on('end', () => response.writeHead(201).end());
    };
    server.answer = (request, response) => {
      if (request.headers.authorization === undefined)
        response.writeHead(401, { 'www-authenticate': 'Basic realm="test"' }).end();
      else response.writeHead(202, { location: `${other.url}/upload?state=a%3Db` }).end();
    };
    await loggedIn((rest) => registry((store) => putBytes(store, bytes), rest));
    expect(Buffer.concat(uploaded).equals(bytes)).toBe(true);
    expect(other.asked).toEqual([
      { line: `PUT /upload?state=a%3Db&digest=sha256%3A${part.digest}`, authorization: undefined },
    ]);
  });

  test.each([
    ['another manifest than the one of the digest', `sha256:${'00'.repeat(32)}`, '{}', 'damaged'],
    ['an image of something else', undefined, '{"schemaVersion":2}', 'not-an-image'],
    [
      'an index that has no digest',
      undefined,
      JSON.stringify({ artifactType: 'application/vnd.ckptfs.image.v1', config: {} }),
      'damaged',
    ],
    ['garbage', undefined, '<html>', 'damaged'],
  ])('that has %s is refused', async (_what, digest, text, code) => {
    server.answer = (_request, response) => response.end(text);
    const url = `oci://${server.host}/web${digest === undefined ? ':1' : `@${digest}`}`;
    const found = withRemote(url, options({ plainHttp: true }), (store) => store.readIndex());
    expect((await refusal(found))[0]).toBe(code);
  });

  test.each([
    ['lists what belongs to an image', { 'oci-subject': 'sha256:ab' }, 0],
    ['does not', {}, 1],
  ])('that %s is told of the subject', async (_what, fields, warned) => {
    const text = '{"schemaVersion":2}';
    let sent = '';
    server.answer = (request, response) => {
      if (request.method === 'HEAD') response.writeHead(200).end();
      else if (request.method === 'GET') response.writeHead(200, { 'content-type': 'application/a' }).end(text);
      else {
        request.on('data', (chunk) => {
          sent += chunk;
        });
        request.on('end', () => response.writeHead(201, fields).end());
      }
    };
    const warnings: string[] = [];
    const index = indexOf(part, part, part);
    const onWarning = (warning: string): void => void warnings.push(warning);
    await registry((store) => store.publish(index, encodeRemoteIndex(index)), { subject: 'app-1', onWarning });
    const { digest, size } = partOf(Buffer.from(text));
    expect(JSON.parse(sent).subject).toEqual({ mediaType: 'application/a', digest: `sha256:${digest}`, size });
    expect(warnings).toHaveLength(warned);
    expect(server.asked.map(({ line }) => line)).toContain('GET /v2/web/manifests/app-1');
  });

  test('that has something else in the place of a profile does not get it removed, or read', async () => {
    const index = indexOf(part, part, part);
    const image = encodeImageManifest(index, encodeRemoteIndex(index), '1');
    server.answer = (request, response) => {
      // What is asked for by the tag of the profile is the image once more.
      if (request.method === 'GET') response.writeHead(200).end(image);
      else response.writeHead(202).end();
    };
    expect((await refusal(registry((store) => store.readProfile())))[0]).toBe('damaged');
    server.asked.length = 0;
    expect(await registry((store) => store.remove())).toBe(true);
    const digest = `sha256:${partOf(image).digest}`;
    expect(server.asked.map(({ line }) => line)).toEqual([
      'GET /v2/web/manifests/1',
      `DELETE /v2/web/manifests/${digest}`,
      `GET /v2/web/manifests/${digest.replace(':', '-')}.ckptfs-profile`,
    ]);
  });

  test('gives the index with its manifest, and the profile with its own', async () => {
    const index = indexOf(part, part, part);
    const image = encodeImageManifest(index, encodeRemoteIndex(index), '1');
    const subject = { mediaType: '', digest: `sha256:${partOf(image).digest}`, size: image.length };
    server.answer = (request, response) =>
      response
        .writeHead(200)
        .end(request.url?.endsWith('profile') === true ? encodeProfileManifest(bytes, subject) : image);
    await registry(async (store) => {
      expect(await store.readIndex()).toEqual(index);
      expect(await store.readProfile()).toEqual(bytes);
    });
    expect(server.asked).toHaveLength(2);
  });

  test('that lists tags without end is given up', async () => {
    server.answer = (_request, response) =>
      response.writeHead(200, { link: '</v2/web/tags/list?n=1>; rel="next"' }).end('{"tags":[]}');
    const found = listRemote(`oci://${server.host}/web`, options({ plainHttp: true }));
    expect((await refusal(found))[1]).toBe('garbage');
  });

  test('that does not speak TLS on this host is asked by http', async () => {
    server.answer = honest;
    await withRemote(`oci://${server.host}/web:1`, options(), wholePart);
  });
});

test('a server that speaks no HTTP is refused', async () => {
  const raw = createTcpServer((socket) => socket.on('error', () => undefined).end('SSH-2.0-OpenSSH\r\n'));
  await new Promise<void>((resolve) => raw.listen(0, '127.0.0.1', resolve));
  const { port } = raw.address() as { port: number };
  const environment = {
    HOME: '/nonexistent',
    AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`,
    AWS_EC2_METADATA_DISABLED: 'true',
  };
  expect((await refusal(bucket(wholePart, { environment })))[1]).toBe('garbage');
  raw.close();
});

test('a host that there is not is said at once', async () => {
  const environment = {
    HOME: '/nonexistent',
    AWS_ENDPOINT_URL: 'http://nothing.invalid',
    AWS_EC2_METADATA_DISABLED: 'true',
  };
  const [code, reason, message] = await refusal(bucket(wholePart, { environment }));
  expect([code, reason]).toEqual(['store-unavailable', 'unreachable']);
  expect(message).toContain('there is no host nothing.invalid');
});

test.each<[string, (store: RemoteStore) => Promise<RemotePart>]>([['a part', (store) => putBytes(store, bytes)]])(
  'a server that does not want %s says so before all of it was sent',
  async (_what, use) => {
    server.answer = (_request, response) => response.writeHead(413).end();
    expect((await refusal(bucket(use)))[1]).toBe('refused');
  },
);
