import { createCipheriv, createPrivateKey, createPublicKey } from 'node:crypto';
import { CkptfsError } from '../../src/base/errors.ts';
import { concatKdf } from '../../src/crypto/concat-kdf.ts';
import { KeyProblem } from '../../src/crypto/key-problem.ts';
import { PrivateKey } from '../../src/crypto/private-key.ts';
import { readPrivateKey } from '../../src/crypto/private-key-file.ts';
import { readPublicJwk, thumbprint } from '../../src/crypto/public-key.ts';
import { primitives } from '../../src/crypto/select.ts';
import { readPublicPart } from '../../src/keys/recipients/public-parts.ts';
import { unwrapWithPrivateKey } from '../../src/keys/slots/public-key.ts';
import { mutate, mutateJson } from './mutate.ts';
import { type FuzzTarget, must } from './target.ts';

/** PrivateKeyInfo (RFC 5208) of P-256, X25519 and Ed25519, up to the key itself, in hexadecimal. */
const PREFIXES = [
  '3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420',
  '302e020100300506032b656e04220420',
  '302e020100300506032b657004220420',
];

/** Makes files with fixed keys, so that an input can be made again. */
function keyFiles(): Buffer[] {
  const keys = PREFIXES.map((prefix, at) => {
    const key = Buffer.concat([Buffer.from(prefix, 'hex'), Buffer.alloc(32, at + 1)]);
    return createPrivateKey({ key, format: 'der', type: 'pkcs8' });
  });
  const [ec] = keys;
  const ders = keys.map((key) => key.export({ format: 'der', type: 'pkcs8' }));
  const pems = keys.map((key) => Buffer.from(key.export({ format: 'pem', type: 'pkcs8' })));
  const sec1 = ec === undefined ? [] : [ec.export({ format: 'der', type: 'sec1' }), rsaFile()];
  return [...ders, ...pems, ...sec1];
}

/** Makes an RSAPrivateKey whose numbers have the right sizes. */
function rsaFile(): Buffer {
  const sizes = [256, 3, 256, 128, 128, 128, 128, 128];
  const numbers = sizes.map((size, at) => der(0x02, Buffer.alloc(size, 0x71 - 2 * at)));
  return der(0x30, Buffer.concat([der(0x02, Buffer.of(0)), ...numbers]));
}

function der(tag: number, contents: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(contents.length);
  return Buffer.concat([Buffer.of(tag, 0x82), length, contents]);
}

/** A file with a private key: a key whose public part is one, or a reason. */
export const privateKeyTarget: FuzzTarget = {
  name: 'private-key',
  prepare: () => {
    const files = keyFiles();
    return {
      attempt: (random) => {
        const input = mutate(random.pick(files), random);
        return { input, check: () => outcomeOf(() => checkPrivateKey(input)) };
      },
    };
  },
};

function checkPrivateKey(input: Buffer): string {
  const key = readPrivateKey(input);
  must(readPublicJwk(key.publicJwk) !== undefined, 'a private key without a public one');
  key.dispose();
  return 'ok';
}

/** A file with a public key: one that can be used, or a reason. */
export const publicKeyTarget: FuzzTarget = {
  name: 'public-key',
  prepare: () => {
    const keys = keyFiles()
      .slice(0, PREFIXES.length)
      .map((key) => createPublicKey(createPrivateKey({ key, format: 'der', type: 'pkcs8' })));
    const files = (['der', 'pem'] as const).flatMap((format) =>
      keys.map((key) => Buffer.from(key.export({ format, type: 'spki' } as { format: 'der'; type: 'spki' }))),
    );
    return {
      attempt: (random) => {
        const input = mutate(random.pick(files), random);
        return { input, check: () => outcomeOf(() => checkPublicKey(input)) };
      },
    };
  },
};

function checkPublicKey(input: Buffer): string {
  must(readPublicJwk(readPublicPart(input).jwk) !== undefined, 'a public key that cannot be used');
  return 'ok';
}

function outcomeOf(check: () => string): string {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof KeyProblem)) throw error;
    must(/^[\x20-\x7e]{1,300}$/.test(error.message), 'a message with bytes of the input in it');
    return error.reason;
  }
}

const imageId = Buffer.alloc(16, 1);
const imageKey = Buffer.alloc(32, 5);

/** A slot for a public key, given as JSON values: opens to what is in it, does not open, or is damaged. */
export const publicKeySlotTarget: FuzzTarget = {
  name: 'public-key-slot',
  prepare: () => {
    const key = PrivateKey.ec('P-256', Buffer.of(7));
    const ephemeral = PrivateKey.ec('P-256', Buffer.of(9));
    const agreed = ephemeral.agree(key.publicJwk);
    if (agreed === undefined) throw new Error('two keys that do not agree');
    const kek = concatKdf(primitives(), agreed, 'ECDH-ES+A256KW');
    const [cek, iv] = [Buffer.alloc(32, 3), Buffer.alloc(12, 4)];
    const wrapped = createCipheriv('id-aes256-wrap', kek.bytes, Buffer.alloc(8, 0xa6)).update(cek);
    const kid = thumbprint(key.publicJwk);
    const right = {
      ...{ alg: 'ECDH-ES+A256KW', enc: 'A256GCM', ckptfs: imageId.toString('hex') },
      ...{ kid, epk: ephemeral.publicJwk },
    };
    return {
      attempt: (random) => {
        const parameters = random.chance(8) ? right : mutateJson(right, random);
        const text = JSON.stringify(parameters) ?? '';
        const prot = Buffer.from(text).toString('base64url');
        const content = createCipheriv('aes-256-gcm', cek, iv).setAAD(Buffer.from(prot));
        const ciphertext = Buffer.concat([content.update(imageKey), content.final()]);
        const encryptedKey = random.chance(4) ? mutate(wrapped, random) : wrapped;
        const slot = {
          protected: prot,
          encrypted_key: encryptedKey.toString('base64url'),
          iv: iv.toString('base64url'),
          ciphertext: ciphertext.toString('base64url'),
          tag: content.getAuthTag().toString('base64url'),
        };
        const isRight = text === JSON.stringify(right) && encryptedKey.equals(wrapped);
        return { input: Buffer.from(JSON.stringify(slot)), check: () => checkSlot(slot, key, isRight) };
      },
    };
  },
};

function checkSlot(
  slot: Parameters<typeof unwrapWithPrivateKey>[0][number],
  key: PrivateKey,
  isRight: boolean,
): string {
  try {
    const opened = unwrapWithPrivateKey([slot], imageId, key, 'k');
    if (opened !== undefined) must(imageKey.equals(opened.imageKey.bytes), 'another image key');
    must(opened !== undefined || !isRight, 'what is right does not open');
    opened?.imageKey.wipe();
    return opened === undefined ? 'not mine' : 'ok';
  } catch (error) {
    if (!(error instanceof CkptfsError)) throw error;
    must(error.code === 'damaged' && !isRight, `refused with ${error.code}`);
    return 'damaged';
  }
}
