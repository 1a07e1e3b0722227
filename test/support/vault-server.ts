import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { KeyServer } from './key-server.ts';
import type { TlsAuthority } from './tls-authority.ts';

/** A key of the transit engine; version 1 is the first. */
export interface TransitKey {
  type: string;
  versions: Buffer[];
  minDecryptionVersion: number;
  derived: boolean;
}

/** What a request is refused with. */
class Refusal extends Error {
  readonly status: number;

  constructor(status: number, ...errors: string[]) {
    super(JSON.stringify({ errors }));
    this.status = status;
  }
}

/**
 * A server that answers as HashiCorp Vault and OpenBao do for the transit engine, as far as their API documents it:
 * keys with versions, of type aes256-gcm96, with associated data; tokens; the seal; the texts of errors.
 */
export class VaultServer {
  readonly keys = new Map<string, TransitKey>();
  /** Tokens, and whether each may also encrypt. */
  readonly tokens = new Map<string, 'all' | 'decrypt'>();
  /** Requests: method and path. */
  readonly asked: string[] = [];
  isSealed = false;
  readonly #mount: string;
  readonly #server: KeyServer;

  private constructor(server: KeyServer, mount: string) {
    this.#server = server;
    this.#mount = mount;
    server.answer = (request, response) => this.#answer(request, response);
  }

  static async start(authority: TlsAuthority, mount = 'transit'): Promise<VaultServer> {
    const certificate = authority.issue(`vault-${randomUUID()}`, 'IP:127.0.0.1');
    return new VaultServer(await KeyServer.start(certificate, () => undefined), mount);
  }

  /** What KeyServer does, for a test that has another answer. */
  get server(): KeyServer {
    return this.#server;
  }

  get port(): number {
    return this.#server.port;
  }

  addKey(name: string): TransitKey {
    const key = { type: 'aes256-gcm96', versions: [randomBytes(32)], minDecryptionVersion: 1, derived: false };
    this.keys.set(name, key);
    return key;
  }

  close(): Promise<void> {
    return this.#server.close();
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.asked.push(`${request.method} ${request.url}`);
    const parts: Buffer[] = [];
    request.on('data', (chunk: Buffer) => parts.push(chunk));
    request.on('end', () => {
      response.setHeader('content-type', 'application/json');
      try {
        const data = this.#data(request, Buffer.concat(parts).toString());
        const answer = { request_id: randomUUID(), lease_id: '', renewable: false, lease_duration: 0, data };
        response.end(`${JSON.stringify({ ...answer, wrap_info: null, warnings: null, auth: null })}\n`);
      } catch (error) {
        const { status, message } = error instanceof Refusal ? error : new Refusal(500, String(error));
        response.writeHead(status).end(`${message}\n`);
      }
    });
  }

  #data({ method, url = '', headers }: IncomingMessage, body: string): object {
    if (this.isSealed) throw new Refusal(503, 'Vault is sealed');
    const right = this.tokens.get(String(headers['x-vault-token'] ?? ''));
    if (right === undefined) throw new Refusal(403, '2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n');
    const [, mount, what, name = ''] = /^\/v1\/(.+)\/(keys|encrypt|decrypt)\/([^/]+)$/.exec(url) ?? [];
    if (mount !== this.#mount) throw new Refusal(404, `no handler for route "${url.slice(4)}". route entry not found.`);
    if (what !== 'decrypt' && right === 'decrypt')
      throw new Refusal(403, '1 error occurred:\n\t* permission denied\n\n');
    if (what === 'keys' && method === 'GET') return this.#describe(name);
    if (method !== 'POST') throw new Refusal(405, 'unsupported operation');
    const fields = JSON.parse(body) as Record<string, string>;
    return what === 'encrypt' ? this.#encrypt(name, fields) : this.#decrypt(name, fields);
  }

  #describe(name: string): object {
    const key = this.keys.get(name);
    if (key === undefined) throw new Refusal(404);
    return {
      name,
      type: key.type,
      derived: key.derived,
      deletion_allowed: false,
      exportable: false,
      keys: Object.fromEntries(key.versions.map((_, index) => [index + 1, 1700000000])),
      latest_version: key.versions.length,
      min_available_version: 0,
      min_decryption_version: key.minDecryptionVersion,
      min_encryption_version: 0,
      supports_decryption: true,
      supports_encryption: true,
      supports_derivation: true,
      supports_signing: false,
    };
  }

  #encrypt(name: string, { plaintext = '', associated_data: data = '' }: Record<string, string>): object {
    // A key that is not there is made.
    const { versions } = this.keys.get(name) ?? this.addKey(name);
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', versions.at(-1) as Buffer, iv).setAAD(Buffer.from(data, 'base64'));
    const sealed = Buffer.concat([iv, cipher.update(plaintext, 'base64'), cipher.final(), cipher.getAuthTag()]);
    return { ciphertext: `vault:v${versions.length}:${sealed.toString('base64')}`, key_version: versions.length };
  }

  #decrypt(name: string, { ciphertext = '', associated_data: data = '' }: Record<string, string>): object {
    const key = this.keys.get(name);
    if (key === undefined) throw new Refusal(400, 'encryption key not found');
    const [, version = '', text = ''] = /^vault:v(\d+):(.+)$/.exec(ciphertext) ?? [];
    if (text === '') throw new Refusal(400, 'invalid ciphertext: no prefix');
    if (Number(version) > key.versions.length) throw new Refusal(400, 'invalid ciphertext: version is too new');
    if (Number(version) < key.minDecryptionVersion)
      throw new Refusal(400, 'ciphertext or signature version is disallowed by policy (too old)');
    const sealed = Buffer.from(text, 'base64');
    if (sealed.length < 28) throw new Refusal(400, 'invalid ciphertext: length is too short');
    const iv = sealed.subarray(0, 12);
    const cipher = createDecipheriv('aes-256-gcm', key.versions[Number(version) - 1] ?? '', iv);
    cipher.setAAD(Buffer.from(data, 'base64')).setAuthTag(sealed.subarray(-16));
    try {
      return { plaintext: Buffer.concat([cipher.update(sealed.subarray(12, -16)), cipher.final()]).toString('base64') };
    } catch {
      throw new Refusal(400, 'cipher: message authentication failed');
    }
  }
}
