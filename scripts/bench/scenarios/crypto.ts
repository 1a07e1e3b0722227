import { Region } from '../../../src/base/linux/native.ts';
import { createChunkCipher } from '../../../src/crypto/chunk-ciphers.ts';
import { Secret } from '../../../src/crypto/secret.ts';
import { primitives } from '../../../src/crypto/select.ts';
import { fillRandom } from '../../../src/crypto/system-random.ts';
import { type CipherName, cipherNames } from '../../../src/format/ciphers.ts';
import { defaultChunkSize, Geometry, SECTOR_SIZE } from '../../../src/format/geometry.ts';
import { clearSectorBits } from '../../../src/format/record.ts';
import { run } from '../../lib/commands.ts';
import type { Competitor, Group } from '../scenario.ts';
import { type Implementation, implementationNames, opensslSpeed } from './crypto-names.ts';

const CHUNK_SIZE = defaultChunkSize(undefined);

const implementations: readonly Implementation[] = ['openssl', 'node'];

/** Measures bytes per second of work on `bytes` each time, repeated for a number of seconds. */
function rate(bytes: number, seconds: number, work: () => void): number {
  const began = process.hrtime.bigint();
  const end = began + BigInt(Math.round(seconds * 1e9));
  let now = began;
  let done = 0;
  while (now < end) {
    for (let i = 0; i < 64; i++) work();
    done += 64 * bytes;
    now = process.hrtime.bigint();
  }
  return (done / Number(now - began)) * 1e9;
}

function noise(length: number): Region {
  const region = new Region(length);
  fillRandom(region);
  return region;
}

/** Measures XTS alone, one call per sector, over more data than a first-level cache holds. */
function xts(implementation: Implementation, keyLength: number, seconds: number): Competitor {
  return {
    name: implementationNames[implementation],
    async measure() {
      const key = primitives(implementation).xts(noise(keyLength).bytes);
      const data = noise(64 * SECTOR_SIZE);
      const tweak = noise(16);
      let sector = 0;
      const value = rate(SECTOR_SIZE, seconds, () => {
        const offset = (sector++ % 64) * SECTOR_SIZE;
        key.decrypt(tweak, 0, data, offset, data, offset, SECTOR_SIZE);
      });
      key.dispose();
      return value;
    },
  };
}

/** Seals one message of ChaCha20-Poly1305 per chunk: `openssl speed` cannot open messages. */
function chacha(implementation: Implementation, seconds: number): Competitor {
  return {
    name: implementationNames[implementation],
    async measure() {
      const key = primitives(implementation).chacha20Poly1305(noise(32).bytes);
      const data = noise(CHUNK_SIZE);
      const nonce = noise(12);
      const tag = new Region(16);
      const value = rate(CHUNK_SIZE, seconds, () => {
        key.beginSeal(nonce, 0);
        key.crypt(data, 0, data, 0, CHUNK_SIZE);
        key.finish(tag, 0);
      });
      key.dispose();
      return value;
    },
  };
}

/** Reads whole chunks: authenticates each, then decrypts it into another place. */
function openChunks(implementation: Implementation, cipherName: CipherName, seconds: number): Competitor {
  const geometry = new Geometry(CHUNK_SIZE);
  return {
    name: `${cipherName}, ${implementation === 'node' ? 'node:crypto' : 'koffi'}`,
    async measure() {
      const secret = Secret.random(32);
      const ids = noise(32).bytes;
      const p = primitives(implementation);
      const cipher = createChunkCipher(p, cipherName, secret, ids.subarray(0, 16), ids.subarray(16), geometry);
      const record = new Region(geometry.recordSize);
      fillRandom(record, 0, 12);
      clearSectorBits(record.view, 0, geometry);
      const sealed = noise(geometry.chunkSize);
      cipher.seal(0, 0, 0, sealed, 0, sealed, 0, record, 0);
      const plain = new Region(geometry.chunkSize);
      const value = rate(geometry.chunkSize, seconds, () => {
        const isAuthentic = cipher.open(0, 0, geometry.sectorsPerChunk, sealed, 0, record, 0, plain, 0);
        if (!isAuthentic) throw new Error('a chunk did not authenticate');
      });
      cipher.dispose();
      secret.wipe();
      return value;
    },
  };
}

/** Runs `openssl speed` of the system's own openssl, on one core. */
function speed(algorithm: string, bytes: number, ...options: readonly string[]): Competitor {
  return {
    name: opensslSpeed,
    async measure() {
      const length = ['-bytes', `${bytes}`, '-seconds', '1', '-mr'];
      const output = await run('openssl', 'speed', '-evp', algorithm, ...length, ...options);
      const [, value] = /^\+F:\d+:[^:]+:([\d.]+)$/m.exec(output) ?? [];
      if (value === undefined) throw new Error(`openssl speed said: ${output.trim()}`);
      return Number(value);
    },
  };
}

export const crypto: Group = {
  name: 'crypto',
  heading: 'Cryptography alone',
  method:
    "On one core and without any file. Sectors: one call of XTS for each 4 KiB. Chunks: 16 KiB authenticated and then decrypted, as for a read. `openssl speed` runs the system's openssl; ckptfs uses the one inside Node.",
  async run(bench, measure) {
    const seconds = bench.options.quick ? 0.3 : 1;
    const common = { unit: 'bytes per second', better: 'higher' } as const;
    for (const bits of [256, 128]) {
      await measure({
        ...common,
        id: `crypto-aes-${bits}-xts`,
        title: `AES-${bits}-XTS, sectors of 4 KiB`,
        baseline: opensslSpeed,
        competitors: [
          speed(`aes-${bits}-xts`, SECTOR_SIZE, '-decrypt'),
          ...implementations.map((implementation) => xts(implementation, bits / 4, seconds)),
        ],
      });
    }
    await measure({
      ...common,
      id: 'crypto-chacha20-poly1305',
      title: 'ChaCha20-Poly1305, messages of 16 KiB',
      baseline: opensslSpeed,
      competitors: [
        speed('chacha20-poly1305', CHUNK_SIZE),
        ...implementations.map((implementation) => chacha(implementation, seconds)),
      ],
    });
    const chunks = implementations.flatMap((implementation) =>
      cipherNames.map((cipher) => openChunks(implementation, cipher, seconds)),
    );
    await measure({
      ...common,
      id: 'crypto-chunks',
      title: 'Authenticating and decrypting chunks of 16 KiB, by cipher',
      baseline: chunks[0]?.name ?? '',
      order: 'given',
      competitors: chunks,
    });
  },
};
