import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Directory } from '../../src/base/linux/directory.ts';
import { Region } from '../../src/base/linux/native.ts';
import { CriuLayer } from '../../src/criu/layer.ts';
import { cipherImage, encryptPages, entry, field, MAGICS } from './criu-encryption.ts';

export const TOKEN = Buffer.alloc(32, 0x11);
export const PAGES_KEY = Buffer.concat([Buffer.alloc(32, 0x22), Buffer.alloc(32, 0x33)]);
export const IV = Buffer.alloc(16, 0x44);

/** Encrypts an image of entries. */
export function sealedImage(...messages: readonly Uint8Array[]): Buffer {
  return Buffer.concat([MAGICS, ...messages.map((message) => entry(TOKEN, message))]);
}

/** Makes an image of entries in clear. */
export function plainImage(...messages: readonly Uint8Array[]): Buffer {
  const sized = messages.flatMap((message) => {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(message.length);
    return [length, message];
  });
  return Buffer.concat([MAGICS, ...sized]);
}

/** The first entry of a pagemap. */
export function pagemapHead(pagesId: number): Buffer {
  return field(1, pagesId);
}

/** An entry of a pagemap. Flags are 1 in the parent, 2 lazy, 4 present. */
export function pagemapRun(address: bigint, pages: number, flags = 4): Buffer {
  return Buffer.concat([field(1, address), field(2, pages), field(4, flags)]);
}

export function sealedPages(plain: Uint8Array): Buffer {
  return encryptPages(PAGES_KEY, IV, plain);
}

/** An open layer, and what has to end with it. */
export interface OpenLayer {
  readonly layer: CriuLayer;
  readonly directory: string;
  close(): void;
}

/** Opens a directory as a layer. */
export function openLayer(directory: string, secrets: Uint8Array = Buffer.concat([TOKEN, PAGES_KEY])): OpenLayer {
  const held = Directory.open(directory);
  try {
    const layer = CriuLayer.open(held, secrets);
    return {
      layer,
      directory,
      close: () => {
        layer.close();
        CriuLayer.wipeShared(layer.shared);
        held.close();
      },
    };
  } catch (error) {
    held.close();
    throw error;
  }
}

/** Makes directories with cipher.img, and removes them. */
export class MadeLayers {
  /** The directory that was made last. */
  last = '';
  readonly #ends: (() => void)[] = [];

  make(files: Readonly<Record<string, Uint8Array>>, digest: Uint8Array | undefined = Buffer.alloc(32)): string {
    const directory = mkdtempSync(path.join(tmpdir(), 'criu-layer-'));
    this.last = directory;
    this.#ends.push(() => rmSync(directory, { recursive: true }));
    writeFileSync(
      path.join(directory, 'cipher.img'),
      cipherImage(Buffer.alloc(256, 1), Buffer.alloc(256, 2), IV, digest),
    );
    for (const [name, contents] of Object.entries(files)) {
      if (name.includes('/')) mkdirSync(path.dirname(path.join(directory, name)), { recursive: true });
      writeFileSync(path.join(directory, name), contents);
    }
    return directory;
  }

  open(directory: string, secrets?: Uint8Array): CriuLayer {
    const { layer, close } = openLayer(directory, secrets);
    this.#ends.push(close);
    return layer;
  }

  end(): void {
    for (const end of this.#ends.splice(0).reverse()) end();
  }
}

export function indexOf(layer: CriuLayer, name: string): number {
  return layer.files.findIndex((file) => file.name.toString() === name);
}

/** Reads a file, and checks that nothing is written beside its place. */
export function readFrom(layer: CriuLayer, name: string, offset = 0, length?: number): Buffer {
  const index = indexOf(layer, name);
  const wanted = length ?? layer.files[index]?.size ?? 0;
  const out = new Region(wanted + 8);
  out.bytes.fill(0xee);
  const found = layer.read(index, offset, wanted, out, 4);
  const beside = Buffer.concat([out.bytes.subarray(0, 4), out.bytes.subarray(4 + found)]);
  if (!beside.equals(Buffer.alloc(beside.length, 0xee))) throw new Error('bytes were written beside the range');
  return out.bytes.subarray(4, 4 + found);
}

/** Runs a generator to its end. */
export function outcome<T>(steps: Generator<unknown, T>): T {
  for (let step = steps.next(); ; step = steps.next()) if (step.done === true) return step.value;
}
