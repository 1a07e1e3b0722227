import { MalformedError } from '../../base/bytes.ts';
import { bcryptPbkdf } from '../../crypto/bcrypt-kdf.ts';
import { decryptOnce } from '../../crypto/decrypt-once.ts';
import { KeyProblem } from '../../crypto/key-problem.ts';
import { Secret } from '../../crypto/secret.ts';
import { WireReader } from './wire-reader.ts';

/** A cipher of OpenSSH that private keys are encrypted with. Sizes are in bytes. */
interface KeyCipher {
  /** What OpenSSL calls it. */
  readonly name: string;
  readonly keySize: number;
  readonly ivSize: number;
  readonly blockSize: number;
  readonly tagSize: number;
}

/** How a passphrase protects a private key. */
export interface Protection {
  readonly cipher: KeyCipher;
  readonly salt: Uint8Array;
  readonly rounds: number;
}

const BITS = [128, 192, 256] as const;
const CIPHERS: ReadonlyMap<string, KeyCipher> = new Map(
  BITS.flatMap((bits): [string, KeyCipher][] => {
    const block = { keySize: bits / 8, ivSize: 16, blockSize: 16, tagSize: 0 };
    return [
      [`aes${bits}-ctr`, { ...block, name: `AES-${bits}-CTR` }],
      [`aes${bits}-cbc`, { ...block, name: `AES-${bits}-CBC` }],
      [`aes${bits}-gcm@openssh.com`, { ...block, name: `AES-${bits}-GCM`, ivSize: 12, tagSize: 16 }],
    ];
  }),
);

/** OpenSSH writes 16 or 24 rounds unless it is told otherwise. Each takes about 20 ms here. */
const MAX_ROUNDS = 512;
const SALT_SIZE = { min: 8, max: 64 } as const;

/**
 * Reads how a file is protected. Returns undefined when it is not.
 * @param cipherName and `kdfName`, `kdfOptions`: the members of openssh-key-v1
 * @throws KeyProblem `unsupported`; MalformedError
 */
export function readProtection(cipherName: string, kdfName: string, kdfOptions: Uint8Array): Protection | undefined {
  if (cipherName === 'none' && kdfName === 'none') {
    if (kdfOptions.length > 0) throw new MalformedError('options of no key derivation');
    return undefined;
  }
  const cipher = CIPHERS.get(cipherName);
  if (cipher === undefined || kdfName !== 'bcrypt') {
    const shown = `${cipherName} and ${kdfName}`;
    throw new KeyProblem(
      'unsupported',
      `is encrypted by ${shown}; AES in the modes CTR, CBC and GCM, and bcrypt are used`,
    );
  }
  const reader = new WireReader(kdfOptions);
  const [salt, rounds] = [reader.string(), reader.uint32()];
  reader.end();
  if (salt.length < SALT_SIZE.min || salt.length > SALT_SIZE.max || rounds === 0) {
    throw new MalformedError('options of bcrypt out of range');
  }
  if (rounds > MAX_ROUNDS) {
    throw new KeyProblem('unsupported', `asks for ${rounds} rounds of bcrypt; at most ${MAX_ROUNDS} are computed`);
  }
  return { cipher, salt, rounds };
}

/** Decrypts into locked memory, which the caller wipes. Returns undefined when the tag of the cipher is wrong. */
export async function decryptPrivatePart(
  { cipher, salt, rounds }: Protection,
  encrypted: Uint8Array,
  tag: Uint8Array,
  passphrase: Secret,
): Promise<Secret | undefined> {
  const derived = await bcryptPbkdf(passphrase, salt, rounds, cipher.keySize + cipher.ivSize);
  const plain = Secret.zeros(encrypted.length);
  let isRight = false;
  try {
    const [key, iv] = [derived.bytes.subarray(0, cipher.keySize), derived.bytes.subarray(cipher.keySize)];
    isRight = decryptOnce({ cipher: cipher.name, key, iv, tag }, encrypted, plain.bytes);
    return isRight ? plain : undefined;
  } finally {
    derived.wipe();
    if (!isRight) plain.wipe();
  }
}
