import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CkptfsError } from '../../../../src/base/errors.ts';
import { disposeAll } from '../../../../src/crypto/certificate-pem.ts';
import type { CertificateChecks } from '../../../../src/keys/certificates/certificate-checks.ts';
import { readCertificateFile } from '../../../../src/keys/certificates/certificate-files.ts';
import { checkCertificate } from '../../../../src/keys/certificates/check-certificate.ts';
import { Pki } from './pki.ts';

const pki = new Pki();
let authority = '';
let responder: { child: ChildProcess; url: string };
const servers: (Server | SecureServer)[] = [];

const RESPONDER_EXTENSIONS = ['extendedKeyUsage=OCSPSigning', 'noCheck=ignored'];
const CANNOT_TELL = 'good.crt: whether the certificate of CN=good,O=Team is revoked cannot be told';
const DOES_NOT_COUNT = `revocation-unknown: ${CANNOT_TELL}: the answer of the OCSP responder URL does not count, as `;
const NOT_SIGNED = `${DOES_NOT_COUNT}it is not signed by the issuer of the certificate, or a responder of it`;
const NO_ANSWER = `responder-unreachable: ${CANNOT_TELL}: the OCSP responder URL `;
const signedBy = (name: string) => ['-rsigner', `${name}.crt`, '-rkey', `${name}.key`];

beforeAll(async () => {
  pki.authority('root');
  authority = pki.authority('inter', 'root');
  pki.authority('other');
  pki.issue('inter', 'ocsp', { extensions: RESPONDER_EXTENSIONS });
  pki.issue('inter', 'not-ocsp');
  pki.issue('other', 'foreign-ocsp', { extensions: RESPONDER_EXTENSIONS });
  for (const name of ['good', 'gone']) pki.issue('inter', name);
  pki.revoke('inter', 'gone', 'superseded');
  // It reads its index again when that has changed. What is issued from here on is not in this copy.
  copyFileSync(pki.path('inter/index.txt'), pki.path('index'));
  copyFileSync(pki.path('inter/index.txt.attr'), pki.path('index.attr'));
  responder = await startResponder('-index', 'index', '-ndays', '7', ...signedBy('ocsp'));
  pki.issue('inter', 'unknown');
});
afterAll(async () => {
  responder.child.kill();
  await once(responder.child, 'exit');
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  pki.dispose();
});

/** Starts `openssl ocsp` on a port of its own. */
async function startResponder(...options: readonly string[]): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn('openssl', ['ocsp', '-port', '0', '-CA', 'inter.crt', ...options], {
    cwd: pki.directory,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for await (const piece of child.stdout) {
    said += String(piece);
    const port = /ACCEPT \S*:(\d+) /.exec(said)?.[1];
    if (port !== undefined) return { child, url: `http://localhost:${port}/` };
  }
  throw new Error(`openssl ocsp ended: ${said}`);
}

/** Starts a server that answers as it likes. Returns its address. */
async function startServer(listener: RequestListener, tls?: SecureContextOptions): Promise<string> {
  const server = tls === undefined ? createServer(listener) : createSecureServer(tls, listener);
  server.listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return `http${tls === undefined ? '' : 's'}://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

/** Starts a server whose answers `openssl ocsp` makes with certain options, from the request as it came. */
function startAnswering(
  options: readonly string[],
  input = 'request.der',
  tls?: SecureContextOptions,
): Promise<string> {
  return startServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      writeFileSync(pki.path('request.der'), Buffer.concat(pieces));
      pki.openssl('ocsp', '-CA', 'inter.crt', '-reqin', input, '-respout', 'answer.der', ...options);
      response.end(readFileSync(pki.path('answer.der')));
    });
  }, tls);
}

async function outcome(name: string, ocsp: string, more: CertificateChecks = {}): Promise<string> {
  const [certificate, ...chain] = readCertificateFile(pki.path(`${name}.crt`));
  if (certificate === undefined) throw new Error('no certificate');
  try {
    const verdict = await checkCertificate(certificate, chain, 'recipient', {
      caFiles: [authority],
      ocsp,
      ...more,
    });
    return verdict.isRevocationChecked ? 'good' : 'not asked';
  } catch (error) {
    if (!(error instanceof CkptfsError) || error.code !== 'untrusted') throw error;
    const message = error.message.replaceAll(ocsp, 'URL').replace(`${pki.directory}/`, '');
    return `${error.data?.reason}: ${message.replace(/ (at|from) 20[^ ]+Z/, ' $1 TIME')}`;
  } finally {
    disposeAll([certificate, ...chain]);
  }
}

describe('a responder of the issuer', () => {
  test('tells good from revoked and unknown', async () => {
    expect(await outcome('good', responder.url)).toBe('good');
    expect(await outcome('gone', responder.url)).toBe(
      'revoked: gone.crt: the certificate of CN=gone,O=Team was revoked at TIME (superseded)',
    );
    expect(await outcome('unknown', responder.url)).toBe(
      'revocation-unknown: unknown.crt: whether the certificate of CN=unknown,O=Team is revoked cannot be told: ' +
        'the OCSP responder URL does not know it',
    );
  });

  test('is found by the address in the certificate', async () => {
    pki.issue('inter', 'named', { extensions: [`authorityInfoAccess=OCSP;URI:${responder.url}`] });
    expect(await outcome('named', 'auto')).toMatch(/does not know it/);
    expect(await outcome('good', 'auto')).toBe(
      'revocation-unknown: good.crt: the certificate of CN=good,O=Team names no OCSP responder',
    );
    pki.issue('inter', 'ldap', { extensions: ['authorityInfoAccess=OCSP;URI:ldap://127.0.0.1/'] });
    expect(await outcome('ldap', 'auto')).toMatch(/names no OCSP responder/);
  });

  test('of each authority in the chain is asked about the one below it', async () => {
    const fromRoot = ['-CA', 'root.crt', '-index', 'root/index.txt', '-ndays', '7', ...signedBy('root')];
    const above = await startAnswering(fromRoot);
    const aia = (url: string) => `authorityInfoAccess=OCSP;URI:${url}`;
    const ca = ['basicConstraints=critical,CA:TRUE', aia(above)];
    pki.authority('middle', 'root', ca);
    const below = await startAnswering([
      '-CA',
      'middle.crt',
      '-index',
      'middle/index.txt',
      '-ndays',
      '7',
      ...signedBy('middle'),
    ]);
    pki.issue('middle', 'low', { extensions: [aia(below)] });
    pki.join('low-chain.crt', 'low.crt', 'middle.crt');
    const caFiles = [pki.path('root.crt')];
    expect(await outcome('low-chain', 'auto', { caFiles })).toBe('good');
    pki.revoke('root', 'middle', 'cessationOfOperation');
    expect(await outcome('low-chain', 'auto', { caFiles })).toBe(
      'revoked: low-chain.crt: the certificate of CN=low,O=Team is of an issuer, CN=middle,O=Team, who was revoked ' +
        'at TIME (cessationOfOperation)',
    );
  });

  test('is asked over https, if a trusted authority or one that Node knows certified its server', async () => {
    const extensions = ['subjectAltName=IP:127.0.0.1'];
    pki.issue('inter', 'server', { extensions });
    pki.issue('other', 'stranger', { extensions });
    const tls = (name: string) => ({
      cert: readFileSync(pki.path(`${name}.crt`)),
      key: readFileSync(pki.path(`${name}.key`)),
    });
    const options = ['-index', 'index', '-ndays', '7', ...signedBy('ocsp')];
    const certified = await startAnswering(options, 'request.der', tls('server'));
    // TLS has no partial chains: the trusted root is needed.
    const whole = { caFiles: [pki.path('root.crt'), authority] };
    expect(await outcome('good', certified, whole)).toBe('good');
    const stranger = await startAnswering(options, 'request.der', tls('stranger'));
    expect(await outcome('good', stranger, whole)).toMatch(/^responder-unreachable: .* cannot be asked: /);
  });

  test('is not asked about a certificate that is refused in any case', async () => {
    const at = new Date('2081-01-01T00:00:00Z');
    expect(await outcome('good', await startServer(() => {}), { at })).toMatch(/^expired: /);
  });

  test('is not asked where a certificate that is not trusted names it', async () => {
    let asked = 0;
    const url = await startServer((_, response) => {
      asked += 1;
      response.end();
    });
    pki.issue('other', 'lure', { extensions: [`authorityInfoAccess=OCSP;URI:${url}`] });
    expect(await outcome('lure', 'auto', { force: true })).toBe('not asked');
    expect(asked).toBe(0);
  });
});

describe('an answer', () => {
  const index = ['-index', 'inter/index.txt'];
  test.each([
    ['of the issuer itself', [...index, '-ndays', '7', ...signedBy('inter')], 'good'],
    ['without a nonce, but with its time', [...index, '-ndays', '7', ...signedBy('ocsp'), '-no_nonce'], 'good'],
    ['of a responder that the issuer did not name', [...index, '-ndays', '7', ...signedBy('not-ocsp')], NOT_SIGNED],
    ['of the responder of another issuer', [...index, '-ndays', '7', ...signedBy('foreign-ocsp')], NOT_SIGNED],
    [
      'that is signed over a weak digest',
      [...index, '-ndays', '7', ...signedBy('ocsp'), '-rmd', 'sha1'],
      `${DOES_NOT_COUNT}it is signed with a weak digest`,
    ],
  ])('%s', async (_, options, expected) => {
    const url = await startAnswering(options);
    expect(await outcome('good', url)).toBe(expected);
  });

  test('that was recorded, or changed, does not count', async () => {
    const recorder = await startAnswering([...index, '-ndays', '7', ...signedBy('ocsp')]);
    expect(await outcome('good', recorder)).toBe('good');
    const answer = readFileSync(pki.path('answer.der'));
    const replayer = await startServer((_, response) => response.end(answer));
    expect(await outcome('good', replayer)).toBe(`${DOES_NOT_COUNT}it answers another request`);
    // Cut and changed bits.
    for (const changed of [answer.subarray(0, -1), flipped(answer, answer.length - 20), flipped(answer, 120)]) {
      const changer = await startServer((_, response) => response.end(changed));
      expect(await outcome('good', changer)).toMatch(/^revocation-unknown: /);
    }
  });

  test('that has expired, is not valid yet, or is about another certificate, does not count', async () => {
    const url = await startAnswering([...index, '-nmin', '5', ...signedBy('ocsp')]);
    const at = new Date(Date.now() + 3_600_000);
    expect(await outcome('good', url, { at })).toBe(`${DOES_NOT_COUNT}it expired at TIME`);
    const early = new Date(Date.now() - 3_600_000);
    expect(await outcome('good', url, { at: early })).toBe(`${DOES_NOT_COUNT}it holds from TIME only`);
    pki.openssl('ocsp', '-issuer', 'inter.crt', '-cert', 'unknown.crt', '-no_nonce', '-reqout', 'other.der');
    const other = await startAnswering([...index, '-ndays', '1', ...signedBy('ocsp')], 'other.der');
    expect(await outcome('good', other)).toBe(`${DOES_NOT_COUNT}it is about another certificate`);
  });

  test('that is an error, or garbage, does not count', async () => {
    // OCSPResponse with the status tryLater.
    const later = await startServer((_, response) => response.end(Buffer.from('30030a0103', 'hex')));
    expect(await outcome('good', later)).toBe(`${DOES_NOT_COUNT}the responder refused (try later)`);
    const garbage = await startServer((_, response) => response.end('<html>'));
    expect(await outcome('good', garbage)).toBe(`${DOES_NOT_COUNT}it is not an OCSP answer`);
    const nothing = await startServer((_, response) => response.end());
    expect(await outcome('good', nothing)).toBe(`${DOES_NOT_COUNT}it is not an OCSP answer`);
  });
});

describe('no answer', () => {
  test('comes from where nothing listens', async () => {
    const url = await startServer(() => {});
    servers.pop()?.close();
    expect(await outcome('good', url)).toBe(`${NO_ANSWER}cannot be asked: ECONNREFUSED`);
  });

  test('is waited for only until the deadline, even where bytes trickle in', async () => {
    const silent = await startServer(() => {});
    expect(await outcome('good', silent, { ocspMilliseconds: 50 })).toBe(`${NO_ANSWER}did not answer in time`);
    const trickling = await startServer((_, response) => {
      const timer = setInterval(() => response.write('x'), 5);
      response.on('close', () => clearInterval(timer));
    });
    expect(await outcome('good', trickling, { ocspMilliseconds: 100 })).toBe(`${NO_ANSWER}did not answer in time`);
  });

  test('is taken that is too large, is an error of HTTP, or leads elsewhere', async () => {
    const giant = await startServer((_, response) => response.end(Buffer.alloc(65_537)));
    expect(await outcome('good', giant)).toBe(`${NO_ANSWER}answered with more than 65536 bytes`);
    const failing = await startServer((_, response) => response.writeHead(500).end());
    expect(await outcome('good', failing)).toBe(`${NO_ANSWER}answered with the HTTP status 500`);
    const elsewhere = await startServer((_, response) => response.writeHead(307, { location: responder.url }).end());
    expect(await outcome('good', elsewhere)).toBe(`${NO_ANSWER}answered with the HTTP status 307`);
    const broken = await startServer((request) => request.socket.end('SMTP\r\n\r\n'));
    expect(await outcome('good', broken)).toMatch(/^responder-unreachable: .* cannot be asked: HPE_/);
  });
});

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}
