import { hash } from 'node:crypto';
import { MalformedError } from '../../src/base/bytes.ts';
import { CkptfsError } from '../../src/base/errors.ts';
import {
  encodeRemoteIndex,
  objectFileName,
  objectIdOf,
  parseRemoteIndex,
  partsOf,
  type RemoteIndex,
} from '../../src/format/remote-index.ts';
import { parseChallenge } from '../../src/remote/oci/challenge.ts';
import { encodeImageManifest, listedAnnotations, parseImageManifest } from '../../src/remote/oci/image-manifest.ts';
import { parsePage } from '../../src/remote/s3/listing.ts';
import { mutate, mutateJsonText } from './mutate.ts';
import { type FuzzTarget, must, outcomeOfParsing } from './target.ts';

const digest = (character: string): string => character.repeat(64);
/** Parts of these digests, with some size that a packed part can have. */
const parts = (...characters: string[]) => characters.map((each) => ({ digest: digest(each), size: 600 }));
const files = [
  { name: 'ckptfs.json', size: 700, parts: parts('a') },
  { name: 'manifest', size: 8192, parts: parts('b', 'c') },
  { name: 'signatures', size: 900, parts: parts('d') },
  { name: objectFileName('01'.repeat(16)), size: 12_288, parts: parts('e', 'f', '0') },
  { name: objectFileName('ab'.repeat(16)), size: 8192, parts: parts('1', '1') },
];
const blocks = { size: 85, parts: [{ digest: digest('2'), size: 93 }] };
const whole: RemoteIndex = { imageId: '11'.repeat(16), cipher: 'aes-256-xts', partSize: 4096, files, blocks };

/** The index of an image in a remote store. */
export const remoteIndexTarget: FuzzTarget = {
  name: 'remote index',
  prepare: () => {
    const good = encodeRemoteIndex(whole);
    return {
      attempt: (random) => {
        const input = mutateJsonText(good, random);
        return { input, check: () => outcomeOfParsing(() => checkIndex(input)) };
      },
    };
  },
};

function checkIndex(input: Buffer): string {
  const index = parseRemoteIndex(input);
  must(encodeRemoteIndex(index).equals(input), 'parses, and encodes to other bytes');
  const [header, manifest, ...others] = index.files;
  must(header?.name === 'ckptfs.json' && manifest?.name === 'manifest', 'an image without header or manifest');
  for (const file of others) must(file.name === 'signatures' || objectIdOf(file) !== undefined, 'a file of no image');
  for (const file of index.files) {
    const sizes = partsOf(file, index.partSize).map(({ length }) => length);
    must(
      partsOf(file, index.partSize).every(({ size, length }) => size >= 8 && size <= length + length / 4096 + 8),
      'a packed part of a size that it cannot have',
    );
    must(
      sizes.every((size) => size >= 1 && size <= index.partSize),
      'a part of another size',
    );
    must(sizes.reduce((sum, size) => sum + size, 0) === file.size, 'parts that are not the whole file');
  }
  return 'ok';
}

/** What servers of remote stores answer besides: manifests, listings and challenges. */
export const remoteAnswersTarget: FuzzTarget = {
  name: 'remote answers',
  prepare: () => {
    const manifest = encodeImageManifest(whole, encodeRemoteIndex(whole), 'tag');
    const page =
      '<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>a%20b/c</Key></Contents><CommonPrefixes>' +
      '<Prefix>d/</Prefix></CommonPrefixes><NextContinuationToken>a&amp;b</NextContinuationToken></ListBucketResult>';
    const challenge = 'Basic realm="r", Bearer realm="https://a/t",service="s",scope="repository:x:pull,push"';
    return {
      attempt: (random) => {
        const seed = random.pick([manifest, Buffer.from(page), Buffer.from(challenge)]);
        const input = random.chance(10) ? seed : mutate(seed, random);
        return { input, check: () => checkAnswer(input) };
      },
    };
  },
};

function checkAnswer(input: Buffer): string {
  const text = input.toString('latin1');
  const found = parseChallenge(text);
  if (found?.scheme === 'bearer') must(found.realm.length <= text.length, 'a realm that was not in the challenge');
  try {
    const { keys, prefixes, next } = parsePage('a store', text);
    must(
      [...keys, ...prefixes].every((name) => !name.includes('<') || text.includes('%3C') || text.includes('%3c')),
      'markup in a name',
    );
    must(next !== '', 'a listing that goes on nowhere');
    return 'page';
  } catch (error) {
    if (!(error instanceof CkptfsError)) throw error;
    must(error.code === 'store-unavailable', `refused with ${error.code}`);
  }
  try {
    const image = parseImageManifest(input);
    if (image === undefined) return 'something else';
    const { config, data } = image;
    must(/^[0-9a-f]{64}$/.test(config.digest), 'an index without a digest');
    must(data === undefined || hash('sha256', data) === config.digest, 'an index of other bytes than its digest says');
    const listed = listedAnnotations(image);
    if (listed !== undefined) must(Number.isSafeInteger(listed.size), 'a size that is not exact');
    return 'image';
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return 'malformed';
  }
}
