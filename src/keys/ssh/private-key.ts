import { MalformedError } from '../../base/bytes.ts';
import { KeyProblem } from '../../crypto/key-problem.ts';
import { readPem, wipeBlocks } from '../../crypto/pem.ts';
import { PrivateKey } from '../../crypto/private-key.ts';
import { passphraseNeeded } from '../../crypto/private-key-der.ts';
import { type PublicJwk, thumbprint } from '../../crypto/public-key.ts';
import type { Secret } from '../../crypto/secret.ts';
import { decryptPrivatePart, type Protection, readProtection } from './protection.ts';
import { ECDSA_TYPES, publicKeyOfBlob, unsupportedType } from './public-key-blob.ts';
import { WireReader } from './wire-reader.ts';

const LABEL = 'OPENSSH PRIVATE KEY';
const MAGIC = Buffer.from('openssh-key-v1\0');
const ED25519_SIZE = 32;

/** A file of the format openssh-key-v1 (PROTOCOL.key of OpenSSH), as views of its bytes. */
interface Container {
  readonly publicBlob: Uint8Array;
  /** Undefined when no passphrase protects it. */
  readonly protection: Protection | undefined;
  readonly privatePart: Uint8Array;
  readonly tag: Uint8Array;
}

/** Tells whether a file is a private key of OpenSSH in its own format. */
export function isOpenSshPrivateKey(contents: Buffer): boolean {
  return contents.includes(`-----BEGIN ${LABEL}-----`);
}

/** Returns the public key of a file, which is in clear also when a passphrase protects it. @throws KeyProblem */
export function publicKeyOfOpenSsh(contents: Buffer): PublicJwk {
  return withContainer(contents, ({ publicBlob }) => publicKeyOfBlob(publicBlob));
}

/**
 * Makes a key of a file that no passphrase protects. The caller wipes the contents.
 * @throws KeyProblem also `passphrase-needed`
 */
export function readOpenSshKey(contents: Buffer): PrivateKey {
  return withContainer(contents, ({ publicBlob, protection, privatePart }) => {
    const publicJwk = publicKeyOfBlob(publicBlob);
    if (protection !== undefined) throw passphraseNeeded();
    return readPrivatePart(privatePart, publicJwk, damaged);
  });
}

/** Like {@link readOpenSshKey}, for a file that a passphrase may protect. @throws KeyProblem also `wrong-passphrase` */
export async function openOpenSshKey(contents: Buffer, passphrase: Secret): Promise<PrivateKey> {
  const blocks = readPem(contents, (label) => label === LABEL);
  try {
    const { publicBlob, protection, privatePart, tag } = containerIn(blocks[0]?.contents);
    const publicJwk = publicKeyOfBlob(publicBlob);
    if (protection === undefined) return readPrivatePart(privatePart, publicJwk, damaged);
    const plain = await decryptPrivatePart(protection, privatePart, tag, passphrase);
    if (plain === undefined) throw wrongPassphrase();
    try {
      return readPrivatePart(plain.bytes, publicJwk, wrongPassphrase);
    } finally {
      plain.wipe();
    }
  } catch (error) {
    throw asKeyProblem(error);
  } finally {
    wipeBlocks(blocks);
  }
}

function withContainer<T>(contents: Buffer, use: (container: Container) => T): T {
  const blocks = readPem(contents, (label) => label === LABEL);
  try {
    return use(containerIn(blocks[0]?.contents));
  } catch (error) {
    throw asKeyProblem(error);
  } finally {
    wipeBlocks(blocks);
  }
}

function containerIn(bytes: Buffer | undefined): Container {
  if (bytes === undefined || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw damaged();
  const reader = new WireReader(bytes.subarray(MAGIC.length));
  const protection = readProtection(reader.name(), reader.name(), reader.string());
  if (reader.uint32() !== 1) throw new KeyProblem('unsupported', 'holds several keys in one OpenSSH block');
  const [publicBlob, privatePart] = [reader.string(), reader.string()];
  const tag = reader.take(protection?.cipher.tagSize ?? 0);
  reader.end();
  if (privatePart.length === 0 || privatePart.length % (protection?.cipher.blockSize ?? 8) !== 0) throw damaged();
  return { publicBlob, protection, privatePart, tag };
}

/** @param different what to throw when the two numbers at the begin differ: the sign of a wrong passphrase */
function readPrivatePart(bytes: Uint8Array, publicJwk: PublicJwk, different: () => KeyProblem): PrivateKey {
  const reader = new WireReader(bytes);
  const [first, second] = [reader.uint32(), reader.uint32()];
  if (first !== second) throw different();
  const key = readKey(reader.name(), reader);
  try {
    reader.string();
    if (!reader.rest().every((byte, index) => byte === index + 1)) throw damaged();
    if (thumbprint(key.publicJwk) !== thumbprint(publicJwk)) {
      throw new KeyProblem('not-a-key', 'holds a private key with the public key of another');
    }
    return key;
  } catch (error) {
    key.dispose();
    throw error;
  }
}

function readKey(type: string, reader: WireReader): PrivateKey {
  if (type === 'ssh-ed25519') {
    reader.string();
    const pair = reader.string();
    if (pair.length !== 2 * ED25519_SIZE) throw damaged();
    return PrivateKey.ed25519(pair.subarray(0, ED25519_SIZE));
  }
  if (type === 'ssh-rsa') {
    const [n, e, d] = [reader.unsigned(), reader.unsigned(), reader.unsigned()];
    // The file has the primes, but not the exponents that go with them.
    for (let i = 0; i < 3; i++) reader.unsigned();
    return PrivateKey.rsa({ n, e, d });
  }
  const ecdsa = ECDSA_TYPES.get(type);
  if (ecdsa === undefined) throw unsupportedType(type);
  reader.string();
  reader.string();
  return PrivateKey.ec(ecdsa.curve, reader.unsigned());
}

function asKeyProblem(error: unknown): unknown {
  return error instanceof MalformedError ? damaged() : error;
}

function wrongPassphrase(): KeyProblem {
  return new KeyProblem('wrong-passphrase', 'does not open with the given passphrase');
}

function damaged(): KeyProblem {
  return new KeyProblem('not-a-key', 'holds a damaged private key');
}
