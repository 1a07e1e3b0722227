import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { CkptfsError } from '../../../../src/base/errors.ts';
import { parseHeaderField } from '../../../../src/keys/sources/https-headers.ts';
import { openKeySource } from '../../../../src/keys/sources/registry.ts';
import type { SourceOptions } from '../../../../src/keys/sources/source.ts';
import { KeyServer } from '../../../support/key-server.ts';
import { TlsAuthority } from '../../../support/tls-authority.ts';

const directory = mkdtempSync(join(tmpdir(), 'ckptfs-https-'));
const [authority, strangers] = [new TlsAuthority(), new TlsAuthority()];
const certificate = authority.issue('server', 'IP:127.0.0.1');
const client = authority.issue('client', 'DNS:client');
const key = 'c3'.repeat(32);
const trust = { caFile: authority.caFile };
/** Long enough to be reached by what hangs alone. */
const patient = { ...trust, timeoutSeconds: 60 };

let server: KeyServer;
beforeAll(async () => {
  server = await KeyServer.start(certificate, answerKey);
});
afterAll(async () => {
  await server.close();
  for (const one of [authority, strangers]) one.remove();
  rmSync(directory, { recursive: true });
});

const answerKey: RequestListener = (_request, response) => {
  response.end(`${key}\n`);
};

function file(name: string, text: string): string {
  writeFileSync(join(directory, name), text, { mode: 0o600 });
  return join(directory, name);
}

async function read(url: string, options: SourceOptions = patient): Promise<string> {
  const secret = await (await openKeySource(url, options)).read();
  return Buffer.from(secret.bytes).toString('hex');
}

async function refusal(url: string, options?: SourceOptions): Promise<CkptfsError> {
  return read(url, options).then(
    () => {
      throw new Error('it was read');
    },
    (error: CkptfsError) => error,
  );
}

/** Returns the code and the reason of a refusal, whose message names the URL. */
async function reason(url: string, options?: SourceOptions): Promise<readonly unknown[]> {
  const error = await refusal(url, options);
  expect(error.message).toContain(url.replace(/\?.*/, ''));
  expect(error.message).not.toContain('c3c3');
  return [error.code, (error.data as { reason?: string } | undefined)?.reason];
}

/** Runs `work` while the server answers otherwise. */
async function whileItAnswers(answer: RequestListener, work: () => Promise<void>): Promise<void> {
  server.asked.length = 0;
  server.answer = answer;
  try {
    await work();
  } finally {
    server.answer = answerKey;
  }
}

describe('the certificate of the server', () => {
  test('is accepted by the authority that is named', async () => {
    expect(await read(`${server.url}/k`)).toBe(key);
  });

  test.each([
    ['of no authority that the system knows', {}],
    ['of another authority', { caFile: strangers.caFile }],
  ])('%s is refused', async (_what, options) => {
    expect(await reason(`${server.url}/k`, options)).toEqual(['key-unavailable', 'certificate']);
  });

  test.each([
    ['for another host', 'DNS:elsewhere.example', 1],
    ['that has expired', 'DNS:localhost', -1],
    ['localhost', 'email:a@elsewhere.example', 1],
  ])('%s is refused', async (what, name, days) => {
    const other = await KeyServer.start(authority.issue(what.replaceAll(' ', '-'), name, days), answerKey);
    expect(await reason(`${other.url.replace('127.0.0.1', 'localhost')}/k`)).toEqual([
      'key-unavailable',
      'certificate',
    ]);
    expect(other.asked).toEqual([]);
    await other.close();
  });

  test('is checked whatever NODE_TLS_REJECT_UNAUTHORIZED says', async () => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    expect(await reason(`${server.url}/k`, {})).toEqual(['key-unavailable', 'certificate']);
    vi.unstubAllEnvs();
  });
});

describe('a client certificate', () => {
  let closed: KeyServer;
  beforeAll(async () => {
    closed = await KeyServer.start({ ...certificate, clientsOf: authority }, answerKey);
  });
  afterAll(() => closed.close());

  test('is shown to a server that asks for one', async () => {
    const shown = { ...patient, certFile: client.certFile, certKeyFile: client.keyFile };
    expect(await read(`${closed.url}/k`, shown)).toBe(key);
  });

  test('of another authority, or none, is refused', async () => {
    const other = strangers.issue('client', 'DNS:client');
    const shown = { ...patient, certFile: other.certFile, certKeyFile: other.keyFile };
    for (const options of [patient, shown])
      expect(await refusal(`${closed.url}/k`, options)).toMatchObject({ code: 'key-unavailable' });
    expect(closed.asked).toEqual(['/k']);
  });

  test.each([
    ['without its key', { certFile: client.certFile }, 'bad-argument', 'needs both files'],
    [
      'whose key is absent',
      { certFile: client.certFile, certKeyFile: '/absent' },
      'bad-key-file',
      'cannot read /absent',
    ],
    [
      'with the key of another',
      { certFile: client.certFile, certKeyFile: certificate.keyFile },
      'bad-key-file',
      'are not usable',
    ],
  ])('%s', async (_what, files, code, said) => {
    const error = await refusal(`${closed.url}/k`, { ...patient, ...files });
    expect(error.code).toBe(code);
    expect(error.message).toContain(said);
  });

  test('an authority that is no certificate', async () => {
    const error = await refusal(`${server.url}/k`, {
      caFile: file('ca', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'),
    });
    expect(error.code).toBe('bad-key-file');
  });
});

describe('header fields', () => {
  const withHeader = (...headers: string[]) => ({ ...patient, headers: headers.map(parseHeaderField) });

  test('take their values from files and variables', async () => {
    process.env['CKPTFS_TEST_TOKEN'] = 'from-variable';
    const token = file('token', 'from-file\nnot this\n');
    const seen: (string | string[] | undefined)[] = [];
    const answer: RequestListener = (request, response) => {
      seen.push(request.headers['authorization'], request.headers['x-token'], request.headers['x-env']);
      response.end(key);
    };
    await whileItAnswers(answer, async () => {
      await read(
        `${server.url}/k`,
        withHeader(`Authorization: Bearer @${token}`, `X-Token:file:${token}`, 'X-Env: env:CKPTFS_TEST_TOKEN'),
      );
    });
    expect(seen).toEqual(['Bearer from-file', 'from-file', 'from-variable']);
    expect(process.env['CKPTFS_TEST_TOKEN']).toBeUndefined();
  });

  test.each([
    ['a value that is written out', 'Authorization: Bearer hunter2'],
    ['no value', 'Authorization:'],
    ['no name', ': @/x'],
    ['a name with a space', 'A b: @/x'],
    ['a line feed', 'A: @/x\nB: hunter2'],
    ['no name of a variable', 'A: env:hunter2 x'],
    ['what the request itself needs', 'Host: @/x'],
  ])('%s is refused, and not repeated', (_what, header) => {
    const refused = { code: 'bad-argument', message: expect.not.stringContaining('hunter2') };
    expect(() => parseHeaderField(header)).toThrow(expect.objectContaining(refused));
  });

  test.each([
    ['absent', undefined, 'missing'],
    ['empty', '', 'not-a-key'],
    ['of control characters', 'a\x07b', 'not-a-key'],
    ['not of ASCII', 'hunter\u00e9', 'not-a-key'],
  ])('a file that is %s is named', async (_what, text, expected) => {
    const path = text === undefined ? '/absent/token' : file('odd', text);
    const error = await refusal(`${server.url}/k`, withHeader(`A: @${path}`));
    expect([error.code, error.data]).toEqual(['bad-key-file', { reason: expected }]);
    expect(error.message).toContain(path);
    expect(error.message).not.toContain('hunter');
  });
});

describe('redirects', () => {
  const to = (location: (url: string) => string): RequestListener => {
    return (request, response) => {
      if (request.url === '/key') answerKey(request, response);
      else response.writeHead(302, { location: location(request.url ?? '') }).end();
    };
  };

  test('within the server are followed three times', async () => {
    const steps = to((url) => (url === '/3' ? '/key' : `/${Number(url.slice(1)) + 1}`));
    await whileItAnswers(steps, async () => {
      expect(await read(`${server.url}/1`)).toBe(key);
      expect(server.asked).toEqual(['/1', '/2', '/3', '/key']);
      expect(await reason(`${server.url}/0`)).toEqual(['key-unavailable', 'refused']);
    });
  });

  test('to another server are not followed', async () => {
    const other = await KeyServer.start(certificate, answerKey);
    for (const place of [
      other.url,
      `http://127.0.0.1:${server.port}`,
      `https://localhost:${server.port}`,
      '//a/b',
      'https://',
    ]) {
      await whileItAnswers(
        to(() => `${place}/key`),
        async () => {
          const error = await refusal(`${server.url}/k?token=hunter2`);
          expect(error.data).toEqual({ reason: 'refused' });
          expect(error.message).toContain('redirects to another server');
          expect(error.message).not.toContain('hunter2');
        },
      );
    }
    expect(other.asked).toEqual([]);
    await other.close();
  });

  test('that say no place are refused', async () => {
    await whileItAnswers(
      (_request, response) => response.writeHead(302).end(),
      async () => expect(await reason(`${server.url}/k`)).toEqual(['key-unavailable', 'refused']),
    );
  });
});

describe('answers', () => {
  test.each([
    [201, 'refused'],
    [204, 'refused'],
    [304, 'refused'],
    [400, 'refused'],
    [401, 'denied'],
    [403, 'denied'],
    [404, 'absent'],
    [410, 'revoked'],
  ])('%i is %s at once', async (status, why) => {
    await whileItAnswers(
      (_request, response) => response.writeHead(status).end(status === 204 || status === 304 ? undefined : key),
      async () => {
        const error = await refusal(`${server.url}/k`);
        expect([error.message, error.data]).toEqual([expect.stringContaining(`it answers ${status}`), { reason: why }]);
        expect(server.asked).toHaveLength(1);
      },
    );
  });

  test.each([500, 503, 429])('%i is asked again', async (status) => {
    let count = 0;
    const recovering: RequestListener = (_request, response) => {
      count += 1;
      if (count < 3) response.writeHead(status).end();
      else response.end(key);
    };
    await whileItAnswers(recovering, async () => expect(await read(`${server.url}/k`)).toBe(key));
    expect(count).toBe(3);
  });

  test('trouble that stays is unreachable after four attempts', async () => {
    await whileItAnswers(
      (_request, response) => response.writeHead(500).end(),
      async () => {
        const error = await refusal(`${server.url}/k`);
        expect(error.data).toEqual({ reason: 'unreachable' });
        expect(error.message).toBe(`${server.url}/k: it answers 500, tried 4 times`);
        expect(server.asked).toHaveLength(4);
      },
    );
  });

  test('another protocol in the place of an answer is unreachable', async () => {
    await whileItAnswers(
      ({ socket }) => socket.end('HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'),
      async () => expect(await reason(`${server.url}/k`)).toEqual(['key-unavailable', 'unreachable']),
    );
  });

  test('an endless one is cut, and so is one that says too large a size', async () => {
    let isOver: Promise<void> | undefined;
    const endless: RequestListener = (_request, response) => {
      isOver = new Promise((resolve) => response.once('close', resolve));
      const more = (): void => {
        while (!response.destroyed && response.write('61'.repeat(1000)));
        response.once('drain', more);
      };
      more();
    };
    await whileItAnswers(endless, async () => {
      expect(await reason(`${server.url}/k`)).toEqual(['key-unavailable', 'garbage']);
      await isOver;
    });
  });

  test.each([
    ['a page', '<!doctype html><p>Sign in'],
    ['nothing', ''],
    ['JSON', JSON.stringify({ key })],
  ])('%s is garbage', async (_what, text) => {
    await whileItAnswers(
      (_request, response) => response.end(text),
      async () => expect(await reason(`${server.url}/k?token=x`)).toEqual(['key-unavailable', 'garbage']),
    );
  });

  test('that are compressed, although that was not asked for, are garbage', async () => {
    await whileItAnswers(
      (_request, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(Buffer.from('1f8b08', 'hex')),
      async () => expect(await reason(`${server.url}/k`)).toEqual(['key-unavailable', 'garbage']),
    );
  });

  test('that are cut are asked for again', async () => {
    let count = 0;
    const cutting: RequestListener = (request, response) => {
      count += 1;
      if (count > 1) return answerKey(request, response);
      response.writeHead(200, { 'content-length': 64 }).write('61');
      setImmediate(() => response.destroy());
    };
    await whileItAnswers(cutting, async () => expect(await read(`${server.url}/k`)).toBe(key));
  });
});

describe('servers that do not answer', () => {
  const soon = { ...trust, timeoutSeconds: 0.5 };

  test.each<[string, RequestListener]>([
    ['never', () => undefined],
    [
      'byte by byte',
      (_request, response) => {
        const timer = setInterval(() => response.write('6'), 20);
        response.once('close', () => clearInterval(timer));
      },
    ],
    ['with trouble', (_request, response) => response.writeHead(503).end()],
  ])('%s', async (_what, answer) => {
    await whileItAnswers(answer, async () => {
      const error = await refusal(`${server.url}/k`, soon);
      expect(error.message).toBe(`${server.url}/k: no answer within 0.5 seconds`);
      expect(error.data).toEqual({ reason: 'timeout' });
    });
  });

  test('since no process listens', async () => {
    const gone = await KeyServer.start(certificate, answerKey);
    const { url } = gone;
    await gone.close();
    expect(await reason(`${url}/k`)).toEqual(['key-unavailable', 'unreachable']);
  });

  test('since they close each connection', async () => {
    const closing = createTcpServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => closing.listen(0, '127.0.0.1', resolve));
    const { port } = closing.address() as AddressInfo;
    expect(await reason(`https://127.0.0.1:${port}/k`)).toEqual(['key-unavailable', 'unreachable']);
    closing.close();
  });

  test('since they speak http', async () => {
    const plain = createServer(answerKey);
    await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
    const { port } = plain.address() as AddressInfo;
    expect(await reason(`https://127.0.0.1:${port}/k`)).toEqual(['key-unavailable', 'garbage']);
    plain.close();
  });

  test.each([0, -1, 3601, Number.NaN])('a time of %d seconds is refused', async (timeoutSeconds) => {
    expect((await refusal(`${server.url}/k`, { timeoutSeconds })).code).toBe('bad-argument');
  });
});
