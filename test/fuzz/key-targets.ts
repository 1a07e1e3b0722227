import { createCipheriv, createPrivateKey, createPublicKey } from 'node:crypto';
import { CkptfsError } from '../../src/base/errors.ts';
import { concatKdf } from '../../src/crypto/concat-kdf.ts';
import { KeyProblem } from '../../src/crypto/key-problem.ts';
import { PrivateKey } from '../../src/crypto/private-key.ts';
import { readPublicJwk, thumbprint } from '../../src/crypto/public-key.ts';
import { primitives } from '../../src/crypto/select.ts';
import { readPrivateKeys, shownPublicKey } from '../../src/keys/identities/private-keys.ts';
import { readPublicKey } from '../../src/keys/recipients/read-recipients.ts';
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

const AGE_RECIPIENT = 'age1e6xn45wvkce7c7msc9upffw8dmxs9959q5xng369hgzcwrjc04vszex59m';
const AGE_IDENTITY = 'AGE-SECRET-KEY-1QGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQ0N3JDM';

function wire(...values: (string | Buffer)[]): Buffer {
  return Buffer.concat(
    values.flatMap((value) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(value.length);
      return [length, Buffer.from(value)];
    }),
  );
}

/** Returns the public key of Ed25519 whose seed is 32 times the byte 3, as SSH encodes it. */
function sshBlob(): Buffer {
  const key = createPrivateKey({
    key: Buffer.concat([Buffer.from(PREFIXES[2] ?? '', 'hex'), Buffer.alloc(32, 3)]),
    format: 'der',
    type: 'pkcs8',
  });
  return wire('ssh-ed25519', createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32));
}

function sshLine(): string {
  return `ssh-ed25519 ${sshBlob().toString('base64')}`;
}

/** Makes what is in a file of OpenSSH with that key; where it is encrypted, of bytes that do not decrypt. */
function sshBlock(cipher: string): Buffer {
  const publicKey = sshBlob().subarray(-32);
  const key = wire('ssh-ed25519', publicKey, Buffer.concat([Buffer.alloc(32, 3), publicKey]), 'me@host');
  const padding = Buffer.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15).subarray(0, -(key.length + 8) & 15);
  const part = Buffer.concat([Buffer.alloc(8, 7), key, padding]);
  const isPlain = cipher === 'none';
  const options = isPlain ? '' : Buffer.concat([wire(Buffer.alloc(16, 9)), Buffer.of(0, 0, 0, 16)]);
  const tag = Buffer.alloc(cipher.includes('gcm') ? 16 : 0);
  const head = [Buffer.from('openssh-key-v1\0'), wire(cipher, isPlain ? 'none' : 'bcrypt', options)];
  return Buffer.concat([...head, Buffer.of(0, 0, 0, 1), wire(sshBlob(), part), tag]);
}

function sshFile(block: Buffer): Buffer {
  const label = 'OPENSSH PRIVATE KEY';
  return Buffer.from(`-----BEGIN ${label}-----\n${block.toString('base64')}\n-----END ${label}-----\n`);
}

/** A file with a private key: a key whose public part is one, or a reason. */
export const privateKeyTarget: FuzzTarget = {
  name: 'private-key',
  prepare: () => {
    const files = [...keyFiles(), Buffer.from(`# age\n${AGE_IDENTITY}\n${AGE_IDENTITY}\n`)];
    const blocks = ['none', 'aes256-ctr', 'aes256-gcm@openssh.com'].map(sshBlock);
    return {
      attempt: (random) => {
        // What is below the base64 is changed as well, where a change of the text would only break it.
        const isSsh = random.chance(3);
        const input = isSsh ? sshFile(mutate(random.pick(blocks), random)) : mutate(random.pick(files), random);
        return { input, check: () => outcomeOf(() => checkPrivateKey(input)) };
      },
    };
  },
};

function checkPrivateKey(input: Buffer): string {
  shownPublicKey(input);
  for (const key of readPrivateKeys(input)) {
    must(readPublicJwk(key.publicJwk) !== undefined, 'a private key without a public one');
    key.dispose();
  }
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
    const lines = [`no-pty,command="a b" ${sshLine()} me@host\n`, `# age\n${AGE_RECIPIENT}\n`].map((text) =>
      Buffer.from(text),
    );
    return {
      attempt: (random) => {
        const input = mutate(random.pick([...files, ...lines]), random);
        return { input, check: () => outcomeOf(() => checkPublicKey(input)) };
      },
    };
  },
};

function checkPublicKey(input: Buffer): string {
  must(readPublicJwk(readPublicKey(input)) !== undefined, 'a public key that cannot be used');
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
