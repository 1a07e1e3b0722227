// Goal: proxies are those that other programs obey, and see no more of a server of TLS than its name.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readBody } from '../../../../src/remote/http/exchange.ts';
import { HttpClient } from '../../../../src/remote/http/http-client.ts';
import { proxyFor } from '../../../../src/remote/http/proxy.ts';
import { KeyServer } from '../../../support/key-server.ts';
import { TlsAuthority } from '../../../support/tls-authority.ts';

describe('the proxy', () => {
  const chosen = (url: string, environment: NodeJS.ProcessEnv): string | undefined =>
    proxyFor(new URL(url), environment)?.host;

  test.each([
    ['https://a.example/', { HTTPS_PROXY: 'http://p:1' }, 'p:1'],
    ['https://a.example/', { https_proxy: 'p:1', HTTPS_PROXY: 'http://other:1' }, 'p:1'],
    ['http://a.example/', { HTTPS_PROXY: 'http://p:1' }, undefined],
    ['http://a.example/', { HTTP_PROXY: 'http://p:1' }, 'p:1'],
    ['https://a.example/', { ALL_PROXY: 'http://p:1' }, 'p:1'],
    ['https://localhost/', { ALL_PROXY: 'http://p:1' }, undefined],
    ['https://127.0.0.1/', { ALL_PROXY: 'http://p:1' }, undefined],
    ['https://a.example/', { ALL_PROXY: 'http://p:1', NO_PROXY: 'b.example, a.example' }, undefined],
    ['https://x.a.example/', { ALL_PROXY: 'http://p:1', NO_PROXY: '.a.example' }, undefined],
    ['https://x.a.example/', { ALL_PROXY: 'http://p:1', NO_PROXY: '*.a.example' }, undefined],
    ['https://nota.example/', { ALL_PROXY: 'http://p:1', NO_PROXY: 'a.example' }, 'p:1'],
    ['https://a.example:8443/', { ALL_PROXY: 'http://p:1', NO_PROXY: 'a.example:9443' }, 'p:1'],
    ['https://a.example/', { ALL_PROXY: 'http://p:1', NO_PROXY: 'a.example:443' }, undefined],
    ['http://a.example/', { ALL_PROXY: 'http://p:1', NO_PROXY: 'a.example:443' }, 'p:1'],
    ['https://a.example/', { ALL_PROXY: 'http://p:1', NO_PROXY: '*' }, undefined],
    ['http://169.254.169.254/', { ALL_PROXY: 'http://p:1' }, undefined],
    ['http://[fd00:ec2::254]/', { ALL_PROXY: 'http://p:1' }, undefined],
  ])('of %s with %j', (url, environment, proxy) => {
    expect(chosen(url, environment)).toBe(proxy);
  });

  test.each(['socks5://user:s3cret@p', 'https://user:s3cret@p', '::'])('%s is refused and not repeated', (text) => {
    expect(() => chosen('https://a.example/', { HTTPS_PROXY: text })).toThrow(
      expect.objectContaining({ code: 'bad-argument', message: expect.not.stringContaining('s3cret') }),
    );
  });
});

describe('through a proxy', () => {
  const authority = new TlsAuthority();
  const asked: string[] = [];
  let proxy: Server;
  let target: KeyServer;
  let isOpen = true;

  beforeAll(async () => {
    target = await KeyServer.start(authority.issue('server', 'DNS:bucket.example'), (_request, response) =>
      response.end('hello'),
    );
    proxy = createServer((request, response) => {
      asked.push(`${request.method} ${request.url} ${request.headers['proxy-authorization']}`);
      response.end('by the proxy');
    });
    proxy.on('connect', (request, socket) => {
      asked.push(`CONNECT ${request.url} ${request.headers['proxy-authorization']}`);
      if (!isOpen) return void socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
      const tunnel = connect(target.port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        tunnel.pipe(socket).pipe(tunnel);
      });
      for (const one of [socket, tunnel]) one.on('error', () => undefined);
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
  });
  afterAll(async () => {
    await target.close();
    proxy.closeAllConnections();
    proxy.close();
    authority.remove();
  });

  async function get(
    url: string,
    {
      caFile = authority.caFile,
      namedBy,
      proxyHost = '127.0.0.1',
    }: { caFile?: string | null; namedBy?: URL; proxyHost?: string } = {},
  ): Promise<string> {
    const { port } = proxy.address() as AddressInfo;
    const environment = { ALL_PROXY: `http://user:pass@${proxyHost}:${port}` };
    const signal = new AbortController().signal;
    const http = new HttpClient({
      timeoutSeconds: 60,
      signal,
      environment,
      connections: 1,
      caFile: caFile ?? undefined,
    });
    asked.length = 0;
    try {
      return await http.exchange('a store', { method: 'GET', url: new URL(url), namedBy }, signal, async (answer) =>
        String(await readBody('a store', answer, 100)),
      );
    } finally {
      http.close();
    }
  }

  test('a server of TLS is asked, and believed by its certificate', async () => {
    expect(await get('https://bucket.example/a')).toBe('hello');
    expect(asked).toEqual([`CONNECT bucket.example:443 Basic ${Buffer.from('user:pass').toString('base64')}`]);
    await expect(get('https://other.example/a')).rejects.toMatchObject({ data: { reason: 'certificate' } });
    await expect(get('https://bucket.example/a', { caFile: null })).rejects.toMatchObject({
      data: { reason: 'certificate' },
    });
  });

  test('a server of http is asked by its whole URL', async () => {
    expect(await get('http://bucket.example/a?b')).toBe('by the proxy');
    expect(asked[0]).toMatch(/^GET http:\/\/bucket\.example\/a\?b Basic /);
  });

  test('on this host a server elsewhere may point to another one', async () => {
    const namedBy = new URL('http://registry.example/');
    expect(await get('http://bucket.example/a', { namedBy, proxyHost: 'localhost' })).toBe('by the proxy');
  });

  test('that does not answer is given up in time, and at once by a signal', async () => {
    const silent = createTcpServer((socket) => socket.on('error', () => undefined).resume());
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const environment = { ALL_PROXY: `http://127.0.0.1:${port}` };
    const interrupt = new AbortController();
    for (const [timeoutSeconds, code] of [
      [1, 'store-unavailable'],
      [600, 'interrupted'],
    ] as const) {
      const http = new HttpClient({ timeoutSeconds, signal: interrupt.signal, environment, connections: 1 });
      const request = { method: 'GET', url: new URL('https://bucket.example/') } as const;
      const asked = http.persist('a store', 0, (signal) => http.exchange('a store', request, signal, async () => true));
      if (timeoutSeconds > 1) silent.once('connection', () => interrupt.abort());
      await expect(asked).rejects.toMatchObject({ code });
      http.close();
    }
    silent.close();
    await once(silent, 'close');
  });

  test('that does not let through is said', async () => {
    isOpen = false;
    await expect(get('https://bucket.example/a')).rejects.toThrow(/the proxy 127\.0\.0\.1:\d+ answers 403/);
    isOpen = true;
  });
});
