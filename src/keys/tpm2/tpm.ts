import { MalformedError } from '../../base/bytes.ts';
import { wipe } from '../../base/wipe.ts';
import { offHeap } from '../../crypto/off-heap.ts';
import { Secret } from '../../crypto/secret.ts';
import { randomBytes } from '../../crypto/system-random.ts';
import { TpmRefusal } from './response-codes.ts';
import { encodeSelection, type PcrSelection, readSelection } from './sealed-content.ts';
import {
  CONTINUE_SESSION,
  DECRYPT,
  ENCRYPT,
  makeSalt,
  NONCE_SIZE,
  nameOf,
  type Point,
  SessionKeys,
} from './session.ts';
import { sized, TpmReader, u8, u16, u32 } from './tpm-bytes.ts';
import type { TpmTransport } from './transport.ts';

/** Commands of TPM 2.0 (Library Specification, part 3), as far as sealing and unsealing need them. */

const NO_SESSIONS = 0x8001;
const SESSIONS = 0x8002;
const HEADER_SIZE = 10;
const PAUSE_MILLISECONDS = 20;

const CC = {
  createPrimary: 0x131,
  create: 0x153,
  load: 0x157,
  unseal: 0x15e,
  flushContext: 0x165,
  policyAuthValue: 0x16b,
  startAuthSession: 0x176,
  getCapability: 0x17a,
  policyPcr: 0x17f,
  policyGetDigest: 0x189,
} as const;

const RH_OWNER = 0x40000001;
const RH_NULL = 0x40000007;
const EMPTY_PASSWORD = Buffer.concat([u32(0x40000009), u16(0), u8(0), u16(0)]);
const CAP_PCRS = 5;

const ALG = { aes: 0x0006, keyedHash: 0x0008, sha256: 0x000b, null: 0x0010, ecc: 0x0023, cfb: 0x0043 } as const;
const P256 = 0x0003;
const AES_128_CFB = Buffer.concat([u16(ALG.aes), u16(128), u16(ALG.cfb)]);

const SESSION_TYPES = { hmac: 0, policy: 1, trial: 3 } as const;

/** Attributes of objects (part 2, §8.3). */
const FIXED = 0x02 | 0x10;
const USER_WITH_AUTH = 0x40;
const NO_DA = 0x400;
const STORAGE_KEY = FIXED | 0x20 | USER_WITH_AUTH | NO_DA | 0x10000 | 0x20000;

/** The storage key of P-256 of the TCG's guidance for provisioning: each TPM makes its own by this template. */
const STORAGE_TEMPLATE = Buffer.concat([
  u16(ALG.ecc),
  u16(ALG.sha256),
  u32(STORAGE_KEY),
  sized(),
  AES_128_CFB,
  u16(ALG.null),
  u16(P256),
  u16(ALG.null),
  sized(Buffer.alloc(32)),
  sized(Buffer.alloc(32)),
]);

/** A key that is loaded, under which objects are sealed. */
export interface StorageKey {
  readonly handle: number;
  readonly name: Buffer;
  readonly point: Point;
}

export interface SealedObject {
  readonly privatePart: Buffer;
  readonly publicPart: Buffer;
}

/** What a sealed object demands, by its public part, which the TPM authenticates when it is loaded. */
export interface Demands {
  readonly needsAuth: boolean;
  readonly needsPolicy: boolean;
}

/** @throws MalformedError for what is no public part of a sealed object */
export function demandsOf(publicPart: Buffer): Demands {
  const reader = new TpmReader(publicPart);
  if (reader.u16() !== ALG.keyedHash || reader.u16() !== ALG.sha256) throw new MalformedError('it is no sealed object');
  const attributes = reader.u32();
  return { needsAuth: (attributes & NO_DA) === 0, needsPolicy: (attributes & USER_WITH_AUTH) === 0 };
}

/** One TPM, over one connection. What it has loaded is flushed by {@link end}: there may be no resource manager. */
export class Tpm {
  readonly #transport: TpmTransport;
  readonly #signal: AbortSignal;
  readonly #handles: number[] = [];

  /** @param signal ends it: nothing is waited for any more */
  constructor(transport: TpmTransport, signal: AbortSignal) {
    this.#transport = transport;
    this.#signal = signal;
  }

  /** Makes the storage key, always the same one. @throws TpmRefusal, MalformedError, CkptfsError `key-unavailable` */
  async storageKey(): Promise<StorageKey> {
    const parameters = [sized(sized(), sized()), sized(STORAGE_TEMPLATE), sized(), encodeSelection(undefined)];
    const reader = await this.#send(CC.createPrimary, [RH_OWNER], EMPTY_PASSWORD, Buffer.concat(parameters));
    const handle = this.#loaded(reader.u32());
    reader.u32();
    const publicArea = reader.sized();
    const unique = new TpmReader(publicArea.subarray(STORAGE_TEMPLATE.length - 2 * (2 + 32)));
    const point = { x: padded(unique.sized()), y: padded(unique.sized()) };
    unique.end();
    return { handle, name: nameOf(publicArea), point };
  }

  /** Returns whether the TPM has all of these registers. A policy would hold for nothing in place of others. */
  async hasRegisters({ bank, registers }: PcrSelection): Promise<boolean> {
    const reader = await this.#send(CC.getCapability, [], undefined, Buffer.concat([u32(CAP_PCRS), u32(0), u32(1)]));
    reader.u8();
    if (reader.u32() !== CAP_PCRS) throw new MalformedError('another capability');
    const banks = readSelection(reader);
    return banks.some((one) => one.bank === bank && registers.every((register) => one.registers.includes(register)));
  }

  /**
   * Seals a secret to the TPM.
   * @param authValue without zeros at its end; undefined for none
   * @param pcrs must have their values of now when it is unsealed
   */
  async seal(
    parent: StorageKey,
    secret: Uint8Array,
    authValue: Uint8Array | undefined,
    pcrs: PcrSelection | undefined,
  ): Promise<SealedObject> {
    const attributes = FIXED | (authValue ? 0 : NO_DA) | (pcrs ? 0 : USER_WITH_AUTH);
    const policy = pcrs === undefined ? Buffer.alloc(0) : await this.#policyOf(pcrs, authValue !== undefined);
    const template = Buffer.concat([
      u16(ALG.keyedHash),
      u16(ALG.sha256),
      u32(attributes),
      sized(policy),
      u16(ALG.null),
      sized(),
    ]);
    const sensitive = sensitiveOf(authValue ?? Buffer.alloc(0), secret);
    const { session, handle } = await this.#startSession('hmac', parent, Buffer.alloc(0), true);
    try {
      const others = Buffer.concat([sized(template), sized(), encodeSelection(undefined)]);
      const nonce = session.renew();
      const parameters = Buffer.concat([sized(session.encrypt(sensitive)), others]);
      const attribute = CONTINUE_SESSION | DECRYPT;
      const hmac = session.commandHmac(CC.create, [parent.name], parameters, attribute);
      const auth = Buffer.concat([u32(handle), sized(nonce), u8(attribute), sized(hmac)]);
      const reader = await this.#send(CC.create, [parent.handle], auth, parameters);
      const answer = this.#authenticated(CC.create, reader, session);
      return { privatePart: Buffer.from(answer.sized()), publicPart: Buffer.from(answer.sized()) };
    } finally {
      session.wipe();
      wipe(sensitive);
    }
  }

  /** Loads a sealed object. Returns undefined for one that this TPM has not sealed, or that was changed. */
  async load(parent: StorageKey, { privatePart, publicPart }: SealedObject): Promise<number | undefined> {
    try {
      const parameters = Buffer.concat([sized(privatePart), sized(publicPart)]);
      const reader = await this.#send(CC.load, [parent.handle], EMPTY_PASSWORD, parameters);
      return this.#loaded(reader.u32());
    } catch (error) {
      if (error instanceof TpmRefusal && error.isOfCommand) return undefined;
      throw error;
    }
  }

  /** Unseals a loaded object. The caller wipes it. @param authValue undefined for one that has none */
  async unseal(
    parent: StorageKey,
    object: number,
    publicPart: Buffer,
    authValue: Uint8Array | undefined,
    pcrs: PcrSelection | undefined,
  ): Promise<Secret> {
    const { needsPolicy } = demandsOf(publicPart);
    const type = needsPolicy ? 'policy' : 'hmac';
    const isAuthenticated = !needsPolicy || authValue !== undefined;
    const { session, handle } = await this.#startSession(type, parent, authValue ?? Buffer.alloc(0), isAuthenticated);
    try {
      if (needsPolicy) await this.#satisfy(handle, pcrs, authValue !== undefined);
      const nonce = session.renew();
      const attributes = CONTINUE_SESSION | ENCRYPT;
      const hmac = session.commandHmac(CC.unseal, [nameOf(publicPart)], Buffer.alloc(0), attributes);
      const auth = Buffer.concat([u32(handle), sized(nonce), u8(attributes), sized(hmac)]);
      const reader = await this.#send(CC.unseal, [object], auth, Buffer.alloc(0));
      const answer = this.#authenticated(CC.unseal, reader, session);
      const encrypted = answer.sized();
      answer.end();
      if (encrypted.length === 0) throw new MalformedError('it unseals to nothing');
      return Secret.take(session.decrypt(encrypted));
    } finally {
      session.wipe();
    }
  }

  /** Flushes what was loaded, and closes the connection. */
  async end(): Promise<void> {
    try {
      for (const handle of [...this.#handles].reverse()) await this.#flush(handle).catch(() => undefined);
    } finally {
      await this.#transport.close();
    }
  }

  /** Returns the digest of the policy that {@link #satisfy} satisfies in the state of now. */
  async #policyOf(pcrs: PcrSelection, hasAuth: boolean): Promise<Buffer> {
    const parameters = [
      sized(randomBytes(NONCE_SIZE)),
      sized(),
      u8(SESSION_TYPES.trial),
      u16(ALG.null),
      u16(ALG.sha256),
    ];
    const started = await this.#send(CC.startAuthSession, [RH_NULL, RH_NULL], undefined, Buffer.concat(parameters));
    const handle = this.#loaded(started.u32());
    await this.#satisfy(handle, pcrs, hasAuth);
    const reader = await this.#send(CC.policyGetDigest, [handle], undefined, Buffer.alloc(0));
    const digest = Buffer.from(reader.sized());
    await this.#flush(handle);
    return digest;
  }

  async #satisfy(session: number, pcrs: PcrSelection | undefined, hasAuth: boolean): Promise<void> {
    const parameters = Buffer.concat([sized(), encodeSelection(pcrs)]);
    await this.#send(CC.policyPcr, [session], undefined, parameters);
    // Then the key of the session's HMAC has the authorization value.
    if (hasAuth) await this.#send(CC.policyAuthValue, [session], undefined, Buffer.alloc(0));
  }

  /** Starts a session whose key only the TPM of the storage key can know. */
  async #startSession(type: 'hmac' | 'policy', parent: StorageKey, authValue: Uint8Array, isAuthenticated: boolean) {
    const nonce = randomBytes(NONCE_SIZE);
    const salt = makeSalt(parent.point);
    const parameters = [sized(nonce), sized(salt.encrypted), u8(SESSION_TYPES[type]), AES_128_CFB, u16(ALG.sha256)];
    const handles = [parent.handle, RH_NULL];
    const reader = await this.#send(CC.startAuthSession, handles, undefined, Buffer.concat(parameters));
    const handle = this.#loaded(reader.u32());
    const session = new SessionKeys(salt.secret, nonce, reader.sized(), authValue, isAuthenticated);
    return { session, handle };
  }

  /** Returns the parameters of a response, after its HMAC was checked. */
  #authenticated(code: number, reader: TpmReader, session: SessionKeys): TpmReader {
    const parameters = reader.take(reader.u32());
    const [nonce, attributes, hmac] = [reader.sized(), reader.u8(), reader.sized()];
    reader.end();
    session.acceptResponse(code, parameters, nonce, attributes, hmac);
    return new TpmReader(parameters);
  }

  async #flush(handle: number): Promise<void> {
    this.#handles.splice(this.#handles.indexOf(handle), 1);
    await this.#send(CC.flushContext, [], undefined, u32(handle));
  }

  #loaded(handle: number): number {
    this.#handles.push(handle);
    return handle;
  }

  /** Sends a command. Returns what follows the header of the response. @throws TpmRefusal, MalformedError */
  async #send(code: number, handles: readonly number[], auth: Buffer | undefined, parameters: Buffer) {
    const sessions = auth === undefined ? [] : [u32(auth.length), auth];
    const body = Buffer.concat([...handles.map(u32), ...sessions, parameters]);
    const tag = u16(auth === undefined ? NO_SESSIONS : SESSIONS);
    const command = Buffer.concat([tag, u32(HEADER_SIZE + body.length), u32(code), body]);
    for (;;) {
      const response = await this.#transport.exchange(command, this.#signal);
      const reader = new TpmReader(response);
      const [, size, answer] = [reader.u16(), reader.u32(), reader.u32()];
      if (size !== response.length) throw new MalformedError(`a response of ${response.length} bytes says ${size}`);
      if (answer === 0) return reader;
      const refusal = new TpmRefusal(answer);
      if (!refusal.isPassing || this.#signal.aborted) throw refusal;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MILLISECONDS));
    }
  }
}

/** Joins an authorization value and a secret, off the heap, as TPMS_SENSITIVE_CREATE. */
function sensitiveOf(authValue: Uint8Array, secret: Uint8Array): Buffer {
  const bytes = offHeap(4 + authValue.length + secret.length);
  bytes.writeUInt16BE(authValue.length, 0);
  bytes.set(authValue, 2);
  bytes.writeUInt16BE(secret.length, 2 + authValue.length);
  bytes.set(secret, 4 + authValue.length);
  return bytes;
}

/** Puts zeros before a coordinate that a TPM shortened. */
function padded(coordinate: Buffer): Buffer {
  if (coordinate.length > 32) throw new MalformedError('a coordinate that is too long');
  return Buffer.concat([Buffer.alloc(32 - coordinate.length), coordinate]);
}
