import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TlsAuthority } from '../../support/tls-authority.ts';
import { kill } from './children.ts';
import { PATIENCE } from './patience.ts';
import { findProgram, toolEnvironment } from './requirements.ts';

/** Who a client is, as arguments of ckptfs. */
export interface KmipClientFiles {
  readonly caFile: string;
  readonly certFile: string;
  readonly certKeyFile: string;
}

/** PyKMIP, with an authority, a certificate and an empty database of its own, on the loopback interface. */
export class PyKmip {
  readonly authority = new TlsAuthority();
  readonly port: number;
  /** The owner of the keys that the tests make. */
  readonly client: KmipClientFiles;
  readonly #directory = mkdtempSync(join(tmpdir(), 'ckptfs-kmip-'));
  #process: ChildProcess | undefined;

  private constructor(port: number) {
    this.port = port;
    this.client = this.clientNamed('alice');
    const { certFile, keyFile } = this.authority.issue('server', 'DNS:localhost,IP:127.0.0.1');
    // One file for both: some releases of the package take one for the other.
    const pem = join(this.#directory, 'server.pem');
    writeFileSync(pem, Buffer.concat([readFileSync(certFile), readFileSync(keyFile)]), { mode: 0o600 });
    mkdirSync(join(this.#directory, 'policy'));
    const settings = {
      hostname: '127.0.0.1',
      port,
      certificate_path: pem,
      key_path: pem,
      ca_path: this.authority.caFile,
      auth_suite: 'TLS1.2',
      policy_path: join(this.#directory, 'policy'),
      enable_tls_client_auth: 'True',
      tls_cipher_suites: '',
      logging_level: 'INFO',
      database_path: join(this.#directory, 'kmip.db'),
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
    writeFileSync(join(this.#directory, 'server.conf'), `[server]\n${lines.join('')}`);
  }

  /** @param port a free one unless told */
  static async start(port?: number): Promise<PyKmip> {
    const server = new PyKmip(port ?? (await freePort()));
    await server.start();
    return server;
  }

  /** `kmip://HOST:PORT`. */
  get address(): string {
    return `kmip://127.0.0.1:${this.port}`;
  }

  /** Options of ckptfs for a client. */
  options(client = this.client): string[] {
    return ['--key-ca-file', client.caFile, '--key-cert', client.certFile, '--key-cert-key', client.certKeyFile];
  }

  /** Makes a certificate for a client. @param days of validity, negative for one that has expired */
  clientNamed(name: string, days = 1): KmipClientFiles {
    const { certFile, keyFile } = this.authority.issue(name, `DNS:${name}`, days, 'clientAuth');
    return { caFile: this.authority.caFile, certFile, certKeyFile: keyFile };
  }

  /** Starts the server, again after {@link stop} with the keys that it had. */
  async start(): Promise<void> {
    const program = findProgram('pykmip-server') ?? 'pykmip-server';
    const args = ['-f', join(this.#directory, 'server.conf'), '-l', join(this.#directory, 'server.log')];
    // In a process group of its own, because it starts two processes more.
    const child = spawn(program, args, { detached: true, stdio: 'ignore', env: toolEnvironment });
    this.#process = child;
    const deadline = Date.now() + PATIENCE;
    while (!(await listens(this.port))) {
      if (child.exitCode !== null) throw new Error(`PyKMIP ended with ${child.exitCode}: ${this.log}`);
      if (Date.now() > deadline) throw new Error('not in time: PyKMIP listens');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  get log(): string {
    return readFileSync(join(this.#directory, 'server.log'), 'utf8');
  }

  /** Kills the server and what it started. */
  async stop(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child?.pid === undefined) return;
    process.kill(-child.pid, 'SIGKILL');
    await kill(child, 'SIGKILL');
  }

  async remove(): Promise<void> {
    await this.stop();
    this.authority.remove();
    rmSync(this.#directory, { recursive: true });
  }
}

/** Returns a port on which nothing listened a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket
      .once('error', () => resolve(false))
      .once('connect', () => {
        socket.destroy();
        resolve(true);
      });
  });
}
