import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HttpClient } from '../../../src/remote/http/http-client.ts';
import { S3Client } from '../../../src/remote/s3/s3-client.ts';
import { s3Endpoint } from '../../../src/remote/s3/s3-place.ts';
import { firstOutput, kill } from './children.ts';
import { freePort } from './kmip.ts';
import { findProgram, toolEnvironment } from './requirements.ts';

const swiftProgram = fileURLToPath(new URL('./swift_server.py', import.meta.url));

/** OpenStack Swift with the API of S3, with one bucket, on the loopback interface. */
export class Swift {
  static readonly bucket = 'checkpoints';
  readonly #child: ChildProcess;
  readonly #directory: string;
  readonly url: string;

  private constructor(child: ChildProcess, directory: string, port: string) {
    this.#child = child;
    this.#directory = directory;
    this.url = `http://127.0.0.1:${port}`;
  }

  static async start(): Promise<Swift> {
    const directory = mkdtempSync(join(tmpdir(), 'ckptfs-swift-'));
    // Debian's own Python has the packages of Debian.
    const child = spawn('/usr/bin/python3', [swiftProgram, directory], { stdio: ['pipe', 'pipe', 'ignore'] });
    const swift = new Swift(child, directory, String(await firstOutput(child)).trim());
    await swift.#makeBucket();
    return swift;
  }

  /** The variables that a client needs. */
  get environment(): NodeJS.ProcessEnv {
    return { AWS_ENDPOINT_URL_S3: this.url, AWS_ACCESS_KEY_ID: 'test:ckpt', AWS_SECRET_ACCESS_KEY: 'SKCKPT' };
  }

  async remove(): Promise<void> {
    await kill(this.#child, 'SIGKILL');
    rmSync(this.#directory, { recursive: true });
  }

  async #makeBucket(): Promise<void> {
    const signal = new AbortController().signal;
    const http = new HttpClient({ timeoutSeconds: 600, signal, environment: {}, connections: 1 });
    const address = { kind: 's3', bucket: Swift.bucket, prefix: '' } as const;
    const credentials = {
      current: async () => ({ accessKeyId: 'test:ckpt', secretAccessKey: 'SKCKPT' }),
      expire: () => false,
    };
    const client = new S3Client(http, 's3://checkpoints', address, s3Endpoint(this.url), credentials);
    await client.ask({ method: 'PUT', key: '', expected: [200] }, async () => undefined);
    http.close();
  }
}

/** docker-registry, without or with a user, on the loopback interface. */
export class Registry {
  /** Host and port. */
  readonly host: string;
  readonly #child: ChildProcess;
  readonly #directory: string;

  private constructor(child: ChildProcess, directory: string, host: string) {
    this.#child = child;
    this.#directory = directory;
    this.host = host;
  }

  /**
   * @param htpasswd a line with a user and a password hashed by bcrypt, where not everybody is let in
   * @param port a free one unless told
   */
  static async start({ htpasswd, port }: { htpasswd?: string; port?: number } = {}): Promise<Registry> {
    const directory = mkdtempSync(join(tmpdir(), 'ckptfs-registry-'));
    const host = `127.0.0.1:${port ?? (await freePort())}`;
    mkdirSync(join(directory, 'data'));
    const users = join(directory, 'htpasswd');
    if (htpasswd !== undefined) writeFileSync(users, `${htpasswd}\n`);
    const auth = htpasswd === undefined ? '' : `auth: {htpasswd: {realm: test, path: ${users}}}\n`;
    const storage = `storage: {filesystem: {rootdirectory: ${join(directory, 'data')}}, delete: {enabled: true}}\n`;
    const log = 'log: {level: error, accesslog: {disabled: true}}\n';
    writeFileSync(join(directory, 'config.yml'), `version: 0.1\n${log}${storage}http: {addr: '${host}'}\n${auth}`);
    const program = findProgram('docker-registry') ?? 'docker-registry';
    const child = spawn(program, ['serve', join(directory, 'config.yml')], { stdio: 'ignore', env: toolEnvironment });
    const registry = new Registry(child, directory, host);
    while (!(await isAnswering(`http://${host}/v2/`))) await new Promise((resolve) => setTimeout(resolve, 20));
    return registry;
  }

  async remove(): Promise<void> {
    await kill(this.#child, 'SIGKILL');
    rmSync(this.#directory, { recursive: true });
  }
}

async function isAnswering(url: string): Promise<boolean> {
  return fetch(url).then(
    () => true,
    () => false,
  );
}
