import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { MalformedError } from '../../src/base/bytes.ts';
import { CkptfsError } from '../../src/base/errors.ts';
import { Region } from '../../src/base/linux/native.ts';
import { Allowance } from '../../src/criu/allowance.ts';
import { BlobKey } from '../../src/criu/blob-key.ts';
import { parseCipherImage } from '../../src/criu/cipher-image.ts';
import { indexGhostFile } from '../../src/criu/ghost-file.ts';
import { imageKind, type SealedLayout } from '../../src/criu/image-kind.ts';
import { indexPaddedRecords } from '../../src/criu/padded-records.ts';
import { readPagemap } from '../../src/criu/pagemap.ts';
import { PieceReader } from '../../src/criu/piece-reader.ts';
import { plainSize } from '../../src/criu/piece-table.ts';
import { plainEntries } from '../../src/criu/plain-entries.ts';
import { bpfMapsIn, openSealed } from '../../src/criu/sealed-layouts.ts';
import { SealedWalk } from '../../src/criu/sealed-walk.ts';
import type { StoredFile } from '../../src/criu/stored-file.ts';
import { blob, entry, field, ghostRecord, MAGICS, paddedRecord, u32 } from '../support/criu-encryption.ts';
import { criuLayers } from '../support/criu-fixtures.ts';
import { mutate } from './mutate.ts';
import type { Random } from './random.ts';
import { type FuzzTarget, must } from './target.ts';

const TOKEN = Buffer.alloc(32, 0x11);

const LAYOUTS: readonly SealedLayout[] = [
  'entries',
  'pagemap',
  'pipe-data',
  'socket-queues',
  'tcp-stream',
  'semaphores',
  'message-queues',
  'bpf-maps',
  'netlink-messages',
];

/** The map that the made images know, and those of its sizes that lie. */
const MAPS = bpfMapsIn([field(21, Buffer.concat([field(6, 4), field(7, 8), field(8, 7), field(9, 3)]))]);

/** `cipher.img`: keys of the right kinds, or damage. */
export const criuCipherTarget: FuzzTarget = {
  name: 'criu-cipher',
  prepare: () => {
    const seeds = criuLayers.map(({ encrypted }) => readFileSync(path.join(encrypted, 'cipher.img')));
    return {
      attempt: (random) => {
        const input = mutate(random.pick(seeds), random);
        return { input, check: () => outcomeOf(() => checkCipher(input)) };
      },
    };
  },
};

function checkCipher(input: Buffer): void {
  const { token, aesKey, iv, digest } = parseCipherImage(input);
  must(token.length > 0 && aesKey.length > 0 && iv.length === 16, 'keys of no size');
  must(digest === undefined || digest.length === 32, 'a digest of another size');
}

/** An image that is decrypted as a whole, changed after it was sealed: its plain twin, a part of it, or damage. */
export const criuDamagedImageTarget: FuzzTarget = {
  name: 'criu-damaged-image',
  prepare: () => {
    const seeds = criuLayers.flatMap(({ encrypted, plain, secrets }) =>
      readdirSync(encrypted).flatMap((name) => {
        const layout = LAYOUTS.find((each) => each === imageKind(name));
        if (layout === undefined || name === 'cipher.img') return [];
        const [image, twin] = [encrypted, plain].map((directory) => readFileSync(path.join(directory, name)));
        // Where it is in clear, after a page server, nothing is to be opened.
        if (image === undefined || twin === undefined || image.equals(twin)) return [];
        return [{ layout, image, twin, token: secrets.subarray(0, 32) }];
      }),
    );
    return {
      attempt: (random) => {
        const { layout, image, twin, token } = random.pick(seeds);
        const input = mutate(image, random);
        return { input, check: () => checkDamaged(layout, input, twin, token) };
      },
    };
  },
};

function checkDamaged(layout: SealedLayout, input: Buffer, twin: Buffer, token: Buffer): string {
  const key = new BlobKey(token);
  try {
    return outcomeOf(() => {
      const plain = open(layout, input, key);
      if (layout !== 'entries' && layout !== 'pagemap') return;
      // Whole entries may be lost, doubled or exchanged, which the format does not tell.
      const sealed = new Set(messagesOf(twin));
      for (const message of messagesOf(plain))
        must(message === '' || sealed.has(message), 'a message of another origin');
    });
  } finally {
    key.dispose();
  }
}

function messagesOf(image: Buffer): string[] {
  return [...plainEntries(image)].map((message) => Buffer.from(message).toString('hex'));
}

/** Messages changed before they are sealed, as a holder of the certificate can: what was sealed, or damage. */
export const criuHostileImageTarget: FuzzTarget = {
  name: 'criu-hostile-image',
  prepare: () => {
    const key = new BlobKey(TOKEN);
    return {
      attempt: (random) => {
        const layout = random.pick(LAYOUTS);
        const input = hostileImage(layout, random);
        return { input, check: () => outcomeOf(() => checkHostile(layout, input, key)) };
      },
    };
  },
};

function hostileImage(layout: SealedLayout, random: Random): Buffer {
  if (layout === 'netlink-messages') {
    const header = Buffer.concat([u32(random.pick([16, 20, 40, 15, 0, 2 ** 32 - 1])), Buffer.alloc(12)]);
    return Buffer.concat([blob(TOKEN, header), blob(TOKEN, random.bytes(random.pick([0, 4, 24])))]);
  }
  const parts: Buffer[] = [MAGICS];
  for (let left = random.below(5); left > 0; left--) {
    const numbers = [1, 2, 3, 4].map((number) =>
      field(number, random.pick([7, 0, 1, 3, 8, 12, 24, 2 ** 31, 2n ** 64n - 1n])),
    );
    const message = Buffer.concat(numbers);
    parts.push(entry(TOKEN, random.chance(3) ? mutate(message, random) : message));
    if (random.chance(2)) parts.push(blob(TOKEN, random.bytes(random.pick([1, 3, 8, 12, 24, 36]))));
  }
  const image = Buffer.concat(parts);
  return random.chance(4) ? image.subarray(0, random.below(image.length + 1)) : image;
}

function checkHostile(layout: SealedLayout, input: Buffer, key: BlobKey): void {
  const plain = open(layout, input, key);
  if (layout === 'entries') must(isFramed(plain), 'what was opened is no image');
  if (layout === 'pagemap')
    for (const { pages } of readPagemap(plain)?.runs ?? []) must(pages >= 0, 'pages below zero');
}

function isFramed(image: Buffer): boolean {
  try {
    return messagesOf(image).length >= 0;
  } catch {
    return false;
  }
}

/** Opens an image between guards, and checks that nothing was written past its room. */
function open(layout: SealedLayout, input: Buffer, key: BlobKey): Buffer {
  const room = new Region(input.length + 32);
  room.bytes.fill(0xee);
  const walk = new SealedWalk(key, new Region(Buffer.from(input)), room, 16);
  try {
    openSealed(layout, new Region(Buffer.from(input)), walk, MAPS);
  } finally {
    const guards = Buffer.concat([room.bytes.subarray(0, 16), room.bytes.subarray(16 + input.length)]);
    must(guards.equals(Buffer.alloc(32, 0xee)), 'bytes were written beside the image');
  }
  must(walk.written >= 0 && walk.written <= input.length, 'a plain image of another size');
  return room.bytes.subarray(16, 16 + walk.written);
}

/** Ghost files and records of 4136 bytes, with sizes that lie: what was sealed, by any range, or damage. */
export const criuPiecesTarget: FuzzTarget = {
  name: 'criu-pieces',
  prepare: () => {
    const key = new BlobKey(TOKEN);
    const reader = new PieceReader(key);
    return {
      attempt: (random) => {
        const isGhost = random.chance(2);
        const made = isGhost ? ghostFile(random) : records(random);
        const input = random.chance(3) ? mutate(made, random) : made;
        const at = random.below(12_000);
        return { input, check: () => outcomeOf(() => checkPieces(isGhost, input, at, key, reader)) };
      },
    };
  },
};

const claims = [60_000, -1, 0, 1, 4096, 4097, 2n ** 62n];

function ghostFile(random: Random): Buffer {
  const isChunked = random.chance(2);
  const parts = [MAGICS, entry(TOKEN, Buffer.concat([field(1, 1), field(9, isChunked ? 1 : 0)]))];
  for (let left = random.below(4); left > 0; left--) {
    const data = random.bytes(random.pick([4096, 4096, 1, 300]));
    const claimed = random.chance(6) ? random.pick(claims) : data.length;
    if (isChunked)
      parts.push(entry(TOKEN, Buffer.concat([field(1, BigInt.asUintN(64, BigInt(claimed))), field(2, 0)])), data);
    else parts.push(ghostRecord(TOKEN, data, claimed));
  }
  return Buffer.concat(parts);
}

function records(random: Random): Buffer {
  return Buffer.concat(
    Array.from({ length: random.below(4) }, () => {
      const data = random.bytes(random.pick([4096, 1, 300]));
      return paddedRecord(TOKEN, data, random.chance(6) ? random.pick(claims) : data.length);
    }),
  );
}

function checkPieces(isGhost: boolean, input: Buffer, at: number, key: BlobKey, reader: PieceReader): void {
  const file = storedFile(input);
  const table = isGhost ? indexGhostFile(file, key, new Allowance()) : indexPaddedRecords(file, new Allowance());
  const size = plainSize(table);
  must(size <= input.length, 'more plain bytes than stored ones');
  const offset = Math.min(at, size);
  const [all, part] = [new Region(size + 8), new Region(size - offset + 8)];
  reader.read(file, table, 0, size, all, 0);
  reader.read(file, table, offset, size, part, 0);
  must(all.bytes.subarray(offset).equals(part.bytes), 'a range has other bytes than the whole');
}

function storedFile(bytes: Buffer): StoredFile {
  return {
    size: bytes.length,
    read: (to, toOffset, length, position) => bytes.copy(to.bytes, toOffset, position, position + length),
  };
}

function outcomeOf(check: () => void): string {
  try {
    check();
    return 'ok';
  } catch (error) {
    if (!(error instanceof MalformedError) && !(error instanceof CkptfsError && error.code === 'damaged')) throw error;
    must(/^[\x20-\x7e]{1,300}$/.test(error.message), 'a message with bytes of the input in it');
    return 'damaged';
  }
}
