import { filler, flipped, replaced, u32 } from './encode.ts';
import { barrier, smallFrame } from './journal-entries.ts';
import { imageId, imageKey, journalId } from './sample.ts';
import { type FrameKeys, sealFrame } from './seal.ts';
import { type JournalFrameVector, type NamedVectors, pack } from './vector.ts';

const magic = Buffer.from('ckptjrnl');
const header = Buffer.concat([magic, u32(1), u32(0), journalId]);
const keys: FrameKeys = { imageKey, imageId, header, number: 0, nonce: filler('frame nonce', 12) };
const plain = Buffer.concat(smallFrame);
const good = sealFrame(keys, plain);
const wrong = 'frame fails authentication';

function given(input: Buffer, { suite, number, header: head }: FrameKeys = keys) {
  return {
    kind: 'journal-frame',
    imageKey: imageKey.toString('hex'),
    imageId: imageId.toString('hex'),
    ...(suite === undefined ? {} : { suite }),
    header: head.toString('hex'),
    number,
    input: pack(input),
  } as const;
}

function opens(description: string, change: Partial<FrameKeys>, entries: Buffer = plain): JournalFrameVector {
  const own = { ...keys, ...change };
  return { description, stage: 'ok', ...given(sealFrame(own, entries), own), expected: { data: pack(entries) } };
}

function refused(description: string, input: Buffer, message = wrong, own = keys): JournalFrameVector {
  return { description, stage: 'journal', ...given(input, own), expected: { code: 'damaged', message } };
}

/** Authentic for another place than where it is found. */
function foreign(description: string, change: Partial<FrameKeys>): JournalFrameVector {
  return refused(description, sealFrame({ ...keys, ...change }, plain));
}

/** A frame sealed under a header that a journal cannot have. */
function otherHeader(description: string, head: Buffer): JournalFrameVector {
  const own = { ...keys, header: head };
  return refused(description, sealFrame(own, plain), 'journal', own);
}

const fipsKeys: FrameKeys = { ...keys, suite: 'fips' };
const goodFips = sealFrame(fipsKeys, plain);
const refusedFips = (description: string, input: Buffer) => refused(`fips: ${description}`, input, wrong, fipsKeys);

const otherId = filler('another journal id', 16);

export const frameVectors: NamedVectors = {
  'fips-first': opens('fips: frame 0', fipsKeys),
  'fips-number-large': opens('fips: a frame of a number above 2^32', { ...fipsKeys, number: 2 ** 32 + 1 }),
  'fips-random-flipped': refusedFips('one bit of the random bytes is another', flipped(goodFips, 4)),
  'fips-random-last-flipped': refusedFips('the last of those bits is another', flipped(goodFips, 15, 7)),
  'fips-ciphertext-flipped': refusedFips('one bit of the ciphertext is another', flipped(goodFips, 16)),
  'fips-tag-flipped': refusedFips('one bit of the tag is another', flipped(goodFips, goodFips.length - 1)),
  'fips-other-number': refusedFips('frame 1 in the place of frame 0', sealFrame({ ...fipsKeys, number: 1 }, plain)),
  'fips-other-journal': refusedFips(
    'a frame of another journal',
    sealFrame({ ...fipsKeys, header: replaced(header, 16, otherId) }, plain),
  ),
  'fips-of-default': refusedFips('a frame of the default suite', good),
  'default-of-fips': refused('a frame of suite fips in an image of the default suite', goodFips),
  first: opens('frame 0', {}),
  'number-large': opens('a frame of a number above 2^32', { number: 2 ** 32 + 1 }),
  'one-byte': opens('a frame of one byte', {}, barrier),
  'nonce-flipped': refused('one bit of the nonce is another', flipped(good, 4)),
  'ciphertext-flipped': refused('one bit of the ciphertext is another', flipped(good, 16)),
  'tag-flipped': refused('one bit of the tag is another', flipped(good, good.length - 1)),
  'length-one-more': refused('the length says a byte more', replaced(good, 0, u32(plain.length + 1))),
  'length-0': refused('the length says nothing', replaced(good, 0, u32(0))),
  'length-other': refused('sealed with another length', sealFrame(keys, plain, u32(plain.length - 1))),
  'cut-by-a-byte': refused('the last byte is missing', good.subarray(0, -1)),
  'cut-within-the-head': refused('fewer bytes than precede the ciphertext', good.subarray(0, 15)),
  'trailing-byte': refused('a byte after the tag', Buffer.concat([good, Buffer.of(0)])),
  'no-entry': refused('an authentic frame of nothing', sealFrame(keys, Buffer.alloc(0))),
  'other-number': foreign('frame 1 in the place of frame 0', { number: 1 }),
  'other-journal': foreign('a frame of another journal', { header: replaced(header, 16, otherId) }),
  'other-image-id': foreign('a frame of another image', { imageId: filler('another image id', 16) }),
  'other-image-key': foreign('a frame under another image key', { imageKey: filler('another image key', 32) }),
  'magic-other': otherHeader('another magic', replaced(header, 0, Buffer.from('ckptjrnL'))),
  'version-2': otherHeader('version 2', replaced(header, 8, u32(2))),
  'reserved-1': otherHeader('reserved bytes of 1', replaced(header, 12, u32(1))),
  'header-cut': otherHeader('a header of 31 bytes', header.subarray(0, -1)),
  'header-long': otherHeader('a header of 33 bytes', Buffer.concat([header, Buffer.of(0)])),
};
