import { Region } from '../../base/linux/native.ts';

/**
 * Numbers and structures of PKCS #11 v2.40 (pkcs11t.h). CK_ULONG is an `unsigned long`, of 8 bytes on every platform of
 * Node that has 64 bits, and structures are aligned as C does it.
 */
export const ULONG_SIZE = 8;
/** What a module gives as a length that it does not tell. */
const UNAVAILABLE = 2n ** 64n - 1n;

export const CKF_OS_LOCKING_OK = 2;
export const CKF_SERIAL_SESSION = 4;
export const CKF_RW_SESSION = 2;
export const CKU_USER = 1;

export const CKO = { data: 0, cert: 1, public: 2, private: 3, 'secret-key': 4 } as const;
export const CKK = { rsa: 0x00, ec: 0x03, aes: 0x1f, genericSecret: 0x10 } as const;
export const CKM = { rsaOaep: 0x09, sha256: 0x250, ecdh1Derive: 0x1050, aesKeyWrap: 0x2109 } as const;
export const CKA = {
  class: 0x00,
  token: 0x01,
  private: 0x02,
  label: 0x03,
  value: 0x11,
  keyType: 0x100,
  id: 0x102,
  sensitive: 0x103,
  decrypt: 0x105,
  modulus: 0x120,
  publicExponent: 0x122,
  valueLength: 0x161,
  extractable: 0x162,
  ecParameters: 0x180,
  ecPoint: 0x181,
} as const;

/** Flags of a token. */
export const CKF_TOKEN = {
  loginRequired: 0x4,
  pinInitialized: 0x8,
  pinPad: 0x100,
  initialized: 0x400,
  pinFinalTry: 0x20000,
  pinLocked: 0x40000,
} as const;

const CKG_MGF1_SHA256 = 2;
const CKZ_DATA_SPECIFIED = 1;
const CKD_NULL = 1;

/** Memory that a module writes a CK_ULONG into. */
export class UlongCell {
  readonly #memory = new Region(ULONG_SIZE);

  constructor(value = 0) {
    writeUlong(this.#memory, 0, value);
  }

  get address(): number {
    return this.#memory.address;
  }

  /** The number that it holds; above 2^53 it is not exact. */
  get value(): number {
    return readUlong(this.#memory, 0);
  }
}

export type AttributeValue = number | boolean | Uint8Array;

/** An array of CK_ATTRIBUTE. Bytes that it is given stay where they are. */
export class Template {
  readonly count: number;
  readonly #values: readonly Region[];
  readonly #array: Region;

  constructor(attributes: readonly (readonly [type: number, value: AttributeValue])[]) {
    this.count = attributes.length;
    this.#values = attributes.map(([, value]) => valueRegion(value));
    this.#array = new Region(24 * attributes.length);
    for (const [at, [type]] of attributes.entries()) {
      const { address, length } = this.#values[at] as Region;
      writeUlongs(this.#array, 24 * at, [type, address, length]);
    }
  }

  get address(): number {
    return this.#array.address;
  }

  /** The length that a module gave for the first attribute; undefined when it does not tell. */
  get length(): number | undefined {
    const length = this.#array.view.getBigUint64(16, true);
    return length === UNAVAILABLE ? undefined : Number(length);
  }
}

function valueRegion(value: AttributeValue): Region {
  if (typeof value !== 'number') return new Region(typeof value === 'boolean' ? Uint8Array.of(value ? 1 : 0) : value);
  const region = new Region(ULONG_SIZE);
  writeUlong(region, 0, value);
  return region;
}

/** A CK_MECHANISM and its parameter. */
export class Mechanism {
  readonly #memory = new Region(24);
  /** The parameter, and what that points at: they live as long as this. */
  readonly #parts: readonly Region[];

  private constructor(type: number, ...parts: readonly Region[]) {
    this.#parts = parts;
    const [parameter] = this.#parts;
    writeUlongs(this.#memory, 0, [type, parameter?.address ?? 0, parameter?.length ?? 0]);
  }

  static aesKeyWrap(): Mechanism {
    return new Mechanism(CKM.aesKeyWrap);
  }

  /** RSA-OAEP with SHA-256 for both hashes and no label (CK_RSA_PKCS_OAEP_PARAMS). */
  static rsaOaep256(): Mechanism {
    const parameter = new Region(40);
    writeUlongs(parameter, 0, [CKM.sha256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, 0, 0]);
    return new Mechanism(CKM.rsaOaep, parameter);
  }

  /** ECDH whose x coordinate is not hashed (CK_ECDH1_DERIVE_PARAMS). @param point of the other party, uncompressed */
  static ecdh(point: Uint8Array): Mechanism {
    const [parameter, other] = [new Region(40), new Region(point)];
    writeUlongs(parameter, 0, [CKD_NULL, 0, 0, other.length, other.address]);
    return new Mechanism(CKM.ecdh1Derive, parameter, other);
  }

  get address(): number {
    return this.#memory.address;
  }
}

/** CK_C_INITIALIZE_ARGS. @param reserved a C string, or undefined */
export function initializeArguments(flags: number, reserved: Region | undefined): Region {
  // Eight bytes more than the structure has: NSS reads a field that follows.
  const region = new Region(56);
  writeUlongs(region, 32, [flags, reserved?.address ?? 0]);
  return region;
}

/** What a module says of itself (CK_INFO). */
export interface LibraryInfo {
  readonly manufacturer: Buffer;
  readonly description: Buffer;
  /** `2.6` */
  readonly version: string;
}

export const LIBRARY_INFO_SIZE = 88;

export function readLibraryInfo(region: Region): LibraryInfo {
  const version = `${region.bytes[80]}.${region.bytes[81]}`;
  return { manufacturer: padded(region, 2, 32), description: padded(region, 48, 32), version };
}

/** CK_SLOT_INFO. */
export interface SlotInfo {
  readonly description: Buffer;
  readonly manufacturer: Buffer;
}

export const SLOT_INFO_SIZE = 112;

export function readSlotInfo(region: Region): SlotInfo {
  return { description: padded(region, 0, 64), manufacturer: padded(region, 64, 32) };
}

/** CK_TOKEN_INFO. */
export interface TokenInfo {
  readonly label: Buffer;
  readonly manufacturer: Buffer;
  readonly model: Buffer;
  readonly serial: Buffer;
  readonly flags: number;
}

export const TOKEN_INFO_SIZE = 208;

export function readTokenInfo(region: Region): TokenInfo {
  return {
    label: padded(region, 0, 32),
    manufacturer: padded(region, 32, 32),
    model: padded(region, 64, 16),
    serial: padded(region, 80, 16),
    flags: readUlong(region, 96),
  };
}

export const SESSION_INFO_SIZE = 32;

/** Returns whether a user is logged in to the token of a session (CK_SESSION_INFO: CKS_RO_USER_FUNCTIONS, CKS_RW_…). */
export function isUserSession(region: Region): boolean {
  const state = readUlong(region, ULONG_SIZE);
  return state === 1 || state === 3;
}

export function readUlong(region: Region, offset: number): number {
  return Number(region.view.getBigUint64(offset, true));
}

/** Returns a text of fixed size without what it is padded with: spaces or, by some modules, zeros. */
function padded(region: Region, offset: number, length: number): Buffer {
  const bytes = Buffer.from(region.bytes.subarray(offset, offset + length));
  let end = length;
  while (end > 0 && (bytes[end - 1] === 0x20 || bytes[end - 1] === 0)) end--;
  return bytes.subarray(0, end);
}

function writeUlong(region: Region, offset: number, value: number): void {
  region.view.setBigUint64(offset, BigInt(value), true);
}

function writeUlongs(region: Region, offset: number, values: readonly number[]): void {
  for (const [at, value] of values.entries()) writeUlong(region, offset + ULONG_SIZE * at, value);
}
