import { execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import type { CkptfsError } from '../../../src/base/errors.ts';
import { openImage, readHeader } from '../../../src/image/read/image.ts';
import { readKeyFile } from '../../../src/keys/key-file.ts';
import { SignerFile } from '../../../src/keys/signers/signer-file.ts';
import { readTrustedSigners } from '../../../src/keys/signers/trusted-signers.ts';
import { symmetricKeyProvider } from '../../../src/keys/symmetric-key.ts';
import { EncryptedImage, inspectImage } from '../../../src/library/encrypted-image.ts';
import { ImageWriter } from '../../../src/library/image-writer.ts';
import { addKeySlots, slotsFor } from '../../../src/library/key-slots.ts';
import { checkSignature, type SignatureDemand, signImage } from '../../../src/library/signatures.ts';
import { unlockImage } from '../../../src/library/unlock.ts';
import { openStore } from '../../../src/stores/open-store.ts';
import { frozenRoot, keyFile } from '../../support/frozen-images.ts';
import { testSigner, trustIn } from '../../support/signers.ts';

const directory = mkdtempSync(join(tmpdir(), 'ckptfs-signed-'));
const image = join(directory, 'enc');
const { key } = readKeyFile(keyFile());
const provider = symmetricKeyProvider(key);
const options = { keys: [provider] };
const signer = testSigner();
const demand: SignatureDemand = { trust: trustIn(signer) };
const id = () => inspectImage(image).imageId;

beforeEach(() => {
  rmSync(image, { recursive: true, force: true });
  cpSync(join(frozenRoot, 'aes-256-xts', 'image'), image, { recursive: true });
});
afterAll(() => rmSync(directory, { recursive: true }));

async function refusal(work: Promise<unknown>): Promise<string> {
  const error = (await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )) as CkptfsError | undefined;
  if (error === undefined) return 'accepted';
  return error.code === 'untrusted' ? String(error.data?.reason) : error.code;
}

const openSigned = async (signature: SignatureDemand) =>
  (await EncryptedImage.open(image, { ...options, signature })).close();

test('an image is signed, described, and opened on demand', async () => {
  expect(await refusal(openSigned(demand))).toBe('unsigned');
  expect(await signImage(image, options, [signer])).toEqual({ imageId: id(), epoch: 1, signatures: 1 });
  expect(await refusal(openSigned(demand))).toBe('accepted');
  expect(inspectImage(image).signatures).toMatchObject([{ algorithm: 'EdDSA', signer: signer.keyId }]);
});

test('it takes no key to check, and a wrong image id is refused', async () => {
  await signImage(image, options, [signer]);
  expect(await checkSignature(image, demand, id())).toMatchObject({ imageId: id(), epoch: 1, signer: signer.keyId });
  expect(await refusal(checkSignature(image, demand, '0'.repeat(32)))).toBe('wrong-image');
});

test('it takes a key of the image to sign, and the image must be authentic', async () => {
  const stranger = symmetricKeyProvider(readKeyFile(otherKey()).key);
  expect(await refusal(signImage(image, { keys: [stranger] }, [signer]))).toBe('wrong-key');
  const manifest = readFileSync(join(image, 'manifest'));
  manifest[100] = (manifest[100] ?? 0) ^ 1;
  writeFileSync(join(image, 'manifest'), manifest);
  expect(await refusal(signImage(image, options, [signer]))).toBe('damaged');
  expect(existsSync(join(image, 'signatures'))).toBe(false);
});

test('signatures of several signers stay, also when key slots are added', async () => {
  const second = testSigner('P-256');
  await signImage(image, options, [signer]);
  expect(await signImage(image, options, [second])).toMatchObject({ signatures: 2 });
  await addKeySlots(image, options, [symmetricKeyProvider(readKeyFile(otherKey()).key)]);
  expect(await refusal(openSigned({ trust: trustIn(second) }))).toBe('accepted');
  expect(await refusal(openSigned(demand))).toBe('accepted');
  expect(await refusal(openSigned({ trust: trustIn(testSigner()) }))).toBe('foreign');
});

test('the signatures of another seal are refused, and not kept when it is signed again', async () => {
  await signImage(image, options, [signer]);
  const file = JSON.parse(readFileSync(join(image, 'signatures'), 'utf8'));
  const statement = JSON.parse(Buffer.from(file.payload, 'base64url').toString());
  const payload = Buffer.from(JSON.stringify({ ...statement, epoch: 2 })).toString('base64url');
  writeFileSync(join(image, 'signatures'), `${JSON.stringify({ ...file, payload }, null, 2)}\n`);
  expect(await refusal(openSigned(demand))).toBe('altered');
  expect(await signImage(image, options, [testSigner()])).toMatchObject({ signatures: 1 });
});

test('a signer who states another epoch than that of the manifest is refused when it is opened', async () => {
  const { encodeSignatures, signingInput } = await import('../../../src/format/signatures.ts');
  const { statementOf } = await import('../../../src/image/signatures/sign.ts');
  const { encodeProtectedHeader } = await import('../../../src/image/signatures/protected-header.ts');
  const header = readHeader(openStore(image));
  const statement = statementOf(header, 9, { bytes: readFileSync(join(image, 'manifest')) });
  const text = encodeProtectedHeader({ algorithm: 'EdDSA', keyId: signer.keyId, issuedAt: 1, certificates: [] });
  const signature = signer.sign('EdDSA', signingInput(text, statement)).toString('base64url');
  writeFileSync(
    join(image, 'signatures'),
    encodeSignatures({ statement, signatures: [{ protected: text, signature }] }),
  );
  expect(await refusal(checkSignature(image, demand))).toBe('accepted');
  expect(await refusal(openSigned(demand))).toBe('altered');
});

test('a manifest that is put in place after the check is refused, although it is authentic', async () => {
  const [first, second] = [join(directory, 'first'), join(directory, 'second')];
  for (const destination of [first, second]) {
    const writer = await ImageWriter.create({ destination, makeSlots: slotsFor([provider]) });
    await writer.writeFile('file', 'contents');
    writer.seal();
    await signImage(destination, options, [signer]);
  }
  const { manifestDigest } = await checkSignature(first, demand);
  const store = openStore(second);
  const header = readHeader(store);
  const imageKey = await unlockImage(second, options);
  expect(() => openImage(store, header, imageKey, manifestDigest)).toThrow('another manifest was put in place');
  const own = createHash('sha256')
    .update(readFileSync(join(second, 'manifest')))
    .digest();
  expect(openImage(store, header, imageKey, own).manifest.epoch).toBe(1);
  imageKey.wipe();
  store.close();
  cpSync(join(first, 'signatures'), join(second, 'signatures'));
  expect(await refusal(checkSignature(second, demand))).toBe('foreign');
});

describe('an older seal', () => {
  test('is refused below the one that is demanded', async () => {
    await signImage(image, options, [signer]);
    expect(await refusal(openSigned({ ...demand, minEpoch: 1 }))).toBe('accepted');
    expect(await refusal(openSigned({ ...demand, minEpoch: 2 }))).toBe('too-old');
  });

  test('is refused below the one that the host has seen', async () => {
    await signImage(image, options, [signer]);
    const epochFile = join(directory, 'epochs');
    expect(await refusal(openSigned({ ...demand, epochFile }))).toBe('accepted');
    expect(JSON.parse(readFileSync(epochFile, 'utf8')).images).toMatchObject({ [id()]: { epoch: 1 } });
    expect(await refusal(openSigned({ ...demand, epochFile }))).toBe('accepted');
    const text = readFileSync(epochFile, 'utf8');
    writeFileSync(epochFile, text.replace('"epoch": 1', '"epoch": 2'));
    expect(await refusal(openSigned({ ...demand, epochFile }))).toBe('too-old');
    writeFileSync(epochFile, text.replace(/"manifest": "[0-9a-f]{64}"/, `"manifest": "${'0'.repeat(64)}"`));
    expect(await refusal(openSigned({ ...demand, epochFile }))).toBe('altered');
  });
});

test('keys and certificates of files: Debian jose verifies what they sign', async () => {
  for (const namedCurve of ['P-256', 'P-384'] as const) {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });
    const [pem, pub, jwk] = ['key.pem', 'key.pub', 'key.jwk'].map((name) => join(directory, name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(pem, privateKey.export({ type: 'sec1', format: 'pem' }), { mode: 0o600 });
    writeFileSync(pub, publicKey.export({ type: 'spki', format: 'pem' }));
    writeFileSync(jwk, JSON.stringify(publicKey.export({ format: 'jwk' })));
    const one = await SignerFile.read(pem);
    await signImage(image, options, [one]);
    one.dispose();
    expect(await refusal(openSigned({ trust: readTrustedSigners([pub]) }))).toBe('accepted');
    execFileSync('jose', ['jws', 'ver', '-i', join(image, 'signatures'), '-k', jwk, '-O', '/dev/null']);
  }
});

function otherKey(): string {
  const path = join(directory, 'other.key');
  writeFileSync(path, '5a'.repeat(32), { mode: 0o600 });
  return path;
}
