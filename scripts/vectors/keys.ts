import { filler } from './encode.ts';
import { imageId, imageKey, journalId, objectId, objectKeys } from './sample.ts';
import { dataKey, headerMacKey, journalKey, macKey, manifestKey } from './seal.ts';
import type { KeysVector, NamedVectors } from './vector.ts';

function derivedFrom(description: string, key: Buffer, image: Buffer, object: Buffer, journal: Buffer): KeysVector {
  const given = (cipher: Parameters<typeof objectKeys>[0]) => ({
    ...objectKeys(cipher),
    imageKey: key,
    imageId: image,
    objectId: object,
  });
  return {
    description,
    kind: 'keys',
    stage: 'ok',
    imageKey: key.toString('hex'),
    imageId: image.toString('hex'),
    objectId: object.toString('hex'),
    journalId: journal.toString('hex'),
    expected: {
      'header mac': headerMacKey(key, image).toString('hex'),
      manifest: manifestKey(key, image).toString('hex'),
      journal: journalKey(key, image, journal).toString('hex'),
      'data aes-256-xts': dataKey(given('aes-256-xts')).toString('hex'),
      'data aes-128-xts': dataKey(given('aes-128-xts')).toString('hex'),
      'data chacha20-poly1305': dataKey(given('chacha20-poly1305')).toString('hex'),
      'data aes-256-gcm': dataKey(given('aes-256-gcm')).toString('hex'),
      'mac aes-256-xts': macKey(given('aes-256-xts')).toString('hex'),
      'mac aes-128-xts': macKey(given('aes-128-xts')).toString('hex'),
      'mac none': macKey(given('none')).toString('hex'),
    },
  };
}

export const keysVectors: NamedVectors = {
  sample: derivedFrom(
    'all derived keys of the image key and ids that the other vectors use',
    imageKey,
    imageId,
    objectId,
    journalId,
  ),
  'other-ids': derivedFrom(
    'the same image key, other ids',
    imageKey,
    filler('another image', 16),
    filler('another', 16),
    filler('another journal', 16),
  ),
  zeros: derivedFrom(
    'an image key and ids of zeros',
    Buffer.alloc(32),
    Buffer.alloc(16),
    Buffer.alloc(16),
    Buffer.alloc(16),
  ),
};
