import type { Recipe } from '../../test/support/frozen-images.ts';
import { beside, type Damage, damaged, FIRST_CHUNK, ObjectOfFile, type OpenedBase, PAGE, refused } from './damage.ts';

/**
 * Returns what an attacker on the storage can do without any key.
 * @param other another image under the same key file, its objects by file
 */
export function storedDamage(base: OpenedBase, other: OpenedBase): Readonly<Record<string, Damage>> {
  const headerText = base.image.store.readNamed('ckptfs.json', 1 << 20)?.toString() ?? '';
  const manifestSize = base.image.manifestSize;
  const big = new ObjectOfFile(base, 'pages-1.img');
  const small = new ObjectOfFile(base, 'pagemap-1.img');
  const [one, two] = ['sparse-1.img', 'sparse-2.img'].map((file) => new ObjectOfFile(base, file)) as [
    ObjectOfFile,
    ObjectOfFile,
  ];
  const stranger = new ObjectOfFile(other, 'sparse-1.img');
  const otherNamed = (name: 'ckptfs.json' | 'manifest') => other.image.store.readNamed(name, 1 << 20) as Buffer;

  const bit = (file: string, at: number, number = 0): Recipe['changes'] => [{ flip: file, at, bit: number }];
  const wrongHeader = 'header fails authentication';
  const wrongManifest = 'manifest fails authentication';
  const badHeader = (description: string, place: string, code: string, message: string): Damage =>
    refused(description, code, message, bit('ckptfs.json', digitBehind(headerText, place)));
  const badManifest = (description: string, at: number, message: string): Damage =>
    refused(description, 'damaged', message, bit('manifest', at));
  const badSize = (description: string, size: number, changes: Recipe['changes']): Damage =>
    damaged(description, changes, big.lost(`has ${size} bytes, not ${big.bytes.length}`));
  const badTag = 'its tag does not match';
  const badPage = 'its tag page is not the sealed one';
  const badHeaderPage = "its header page is not this object's";

  return {
    'header-flipped-mac': badHeader('one bit of the mac flipped', '"mac": "', 'damaged', wrongHeader),
    'header-flipped-image': badHeader(
      'one bit of the image id flipped',
      '"image": "',
      'damaged',
      'key slots of other images only',
    ),
    'header-missing': refused('no header', 'damaged', 'ckptfs.json, is missing', [{ remove: 'ckptfs.json' }]),
    'header-empty': refused('an empty header', 'damaged', '0 bytes', [{ truncate: 'ckptfs.json', to: 0 }]),
    'header-truncated': refused('half a header', 'not-an-image', 'not JSON', [{ truncate: 'ckptfs.json', to: 300 }]),
    'header-trailing': refused('a byte after the header', 'damaged', 'canonical', [
      { append: 'ckptfs.json', hex: '0a' },
    ]),
    'header-of-another-image': {
      ...refused('the header of another image under the same key', 'damaged', wrongManifest, [
        { put: 'ckptfs.json', bytes: 'header-of-another-image.bin' },
      ]),
      files: { 'header-of-another-image.bin': otherNamed('ckptfs.json') },
    },
    'slots-flipped': refused(
      'one bit of each wrapped key flipped',
      'wrong-key',
      'does not open',
      [...headerText.matchAll(/"encrypted_key": "/g)].map((match) => ({
        flip: 'ckptfs.json',
        at: digitBehind(headerText, match[0], match.index),
        bit: 0,
      })),
    ),
    'manifest-missing': refused('no manifest', 'unfinished', 'unfinished', [{ remove: 'manifest' }]),
    'manifest-flipped-magic': badManifest('one bit of the magic flipped', 0, 'unknown bytes'),
    'manifest-flipped-version': badManifest('one bit of the version flipped', 9, 'unknown bytes'),
    'manifest-flipped-nonce': badManifest('one bit of the nonce flipped', 16, wrongManifest),
    'manifest-flipped-ciphertext': badManifest('one bit of the ciphertext flipped', 1000, wrongManifest),
    'manifest-flipped-tag': badManifest('one bit of the tag flipped', manifestSize - 1, wrongManifest),
    'manifest-truncated': refused('the last page cut off', 'damaged', 'manifest', [
      { truncate: 'manifest', to: manifestSize - PAGE },
    ]),
    'manifest-trailing': refused('a byte after the manifest', 'damaged', 'manifest of', [
      { append: 'manifest', hex: '00' },
    ]),
    'manifest-of-another-image': {
      ...refused('the manifest of another image', 'damaged', wrongManifest, [
        { put: 'manifest', bytes: 'manifest-of-another-image.bin' },
      ]),
      files: { 'manifest-of-another-image.bin': otherNamed('manifest') },
    },
    'object-missing': damaged('an object removed', [{ remove: one.path }], one.lost('is missing')),
    'object-small-files-missing': damaged(
      'the object of the small files removed',
      [{ remove: small.path }],
      small.lost('is missing'),
    ),
    'object-empty': badSize('an object cut to nothing', 0, [{ truncate: big.path, to: 0 }]),
    'object-truncated-byte': badSize('the last byte cut off', big.bytes.length - 1, [
      { truncate: big.path, to: big.bytes.length - 1 },
    ]),
    'object-truncated-chunk': badSize('the last chunk cut off', big.bytes.length - 16384, [
      { truncate: big.path, to: big.bytes.length - 16384 },
    ]),
    'object-trailing': badSize('a byte after an object', big.bytes.length + 1, [{ append: big.path, hex: '00' }]),
    'object-symlink': beside(
      'a link to an object in its place',
      [{ link: one.path, target: `../../${two.path}` }],
      one.lost('regular file'),
      [one.path],
    ),
    'object-flipped-header': damaged('one bit of a header page flipped', bit(one.path, 40), one.lost(badHeaderPage)),
    'object-flipped-header-end': damaged(
      'the last bit of a header page flipped',
      bit(one.path, PAGE - 1, 7),
      one.lost(badHeaderPage),
    ),
    'object-extra': damaged(
      'an object too many, a copy of one that belongs',
      [{ copy: one.path, to: `objects/00/${'0'.repeat(32)}` }],
      [{ object: '0'.repeat(32), reason: 'does not belong' }],
    ),
    'file-extra': beside('a file too many', [{ copy: 'ckptfs.json', to: 'ckptfs.json.bak' }], [], ['ckptfs.json.bak']),
    'objects-swapped': damaged(
      'two objects swapped',
      [{ swap: [one.path, two.path], from: 0 }],
      [...one.lost(badHeaderPage), ...two.lost(badHeaderPage)],
    ),
    'objects-swapped-bodies': damaged(
      'two objects swapped but for their header pages',
      [{ swap: [one.path, two.path], from: PAGE }],
      [...one.lostChunks(badPage), ...two.lostChunks(badPage)],
    ),
    'objects-swapped-chunks': damaged(
      'the chunks of two objects swapped',
      [{ swap: [one.path, two.path], from: FIRST_CHUNK }],
      [...one.lostChunks(badTag), ...two.lostChunks(badTag)],
    ),
    'object-of-another-image': damaged(
      'the object of another image, of the same file and under the same key file',
      [{ put: one.path, bytes: 'object-of-another-image.bin' }],
      one.lost(badHeaderPage),
      { 'object-of-another-image.bin': stranger.bytes },
    ),
    'object-of-another-image-disguised': damaged(
      'the same with the right header page',
      [{ put: one.path, bytes: 'object-of-another-image-disguised.bin', at: PAGE }],
      one.lostChunks(badPage),
      { 'object-of-another-image-disguised.bin': stranger.bytes.subarray(PAGE) },
    ),
    'tag-page-flipped-nonce': damaged('one bit of a nonce flipped', bit(big.path, PAGE + 64), big.lostChunks(badPage)),
    'tag-page-flipped-holes': damaged(
      'a sector declared a hole',
      bit(small.path, PAGE + 12),
      small.lostChunks(badPage),
    ),
    'tag-page-flipped-end': damaged(
      'the last bit of a tag page flipped',
      bit(big.path, FIRST_CHUNK - 1, 7),
      big.lostChunks(badPage),
    ),
    'chunk-flipped-first': damaged(
      'the first bit of a chunk flipped',
      bit(big.path, FIRST_CHUNK),
      big.lostChunk(0, badTag),
    ),
    'chunk-flipped-middle': damaged(
      'one bit of a later chunk flipped',
      bit(big.path, FIRST_CHUNK + 2 * 16384 + 9000, 3),
      big.lostChunk(2, badTag),
    ),
    'chunk-flipped-small-files': damaged(
      'one bit among the small files flipped',
      bit(small.path, FIRST_CHUNK + 5),
      small.lostSector(0, 0, badTag),
    ),
    'hole-filled': damaged(
      'bytes written into the holes after the data of an object, which are never read',
      [{ put: big.path, bytes: 'hole-filled.bin', at: big.bytes.length - PAGE }],
      [],
      { 'hole-filled.bin': Buffer.alloc(PAGE, 0xaa) },
    ),
  };
}

/** Where the next digit stands: flipping its lowest bit gives another digit, and so another value of the same form. */
function digitBehind(text: string, place: string, from = 0): number {
  const start = text.indexOf(place, from) + place.length;
  return start + text.slice(start).search(/[0-9]/);
}
