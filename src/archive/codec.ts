import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Duplex, type Readable, type Transform, type Writable } from 'node:stream';
import { CkptfsError, systemErrorName } from '../base/errors.ts';
import { withoutInheritance } from '../base/linux/descriptors.ts';
import { printable } from '../base/printable.ts';
import { type CountingTransform, decompressFrames } from './zstd-frames.ts';
import { ZstdWalk } from './zstd-walk.ts';

/** Something that compresses or decompresses what goes through it. */
export interface Codec {
  readonly input: Writable;
  readonly output: Readable;
  /** Is fulfilled when all of it went through, after the output has ended. @throws CodecError; CkptfsError */
  readonly done: Promise<void>;
  /** Gives it up. Does nothing when it is done. */
  readonly close: () => void;
}

/** What was to be decompressed is damaged. */
export class CodecError extends Error {
  override readonly name = 'CodecError';
}

type Direction = 'compress' | 'decompress';

/** Memory that a frame of zstd may ask for, 128 MiB: as much as the program zstd allows without being told. */
const ZSTD_WINDOW_LOG = 27;
/** Characters of what the program says. */
const MAX_SAID = 400;

/** The part of node:zlib that Node has from version 22.15 on. */
interface ZstdOfNode {
  createZstdCompress(options: object): Transform;
  createZstdDecompress(options: object): CountingTransform;
  readonly constants: { readonly ZSTD_c_checksumFlag: number; readonly ZSTD_d_windowLogMax: number };
}

/**
 * Opens gzip or zstd. Where Node has no zstd, the program of that name does it.
 * @param signal gives it up, even when the program hangs
 */
export async function openCodec(format: 'gzip' | 'zstd', direction: Direction, signal?: AbortSignal): Promise<Codec> {
  const codec = await codecOf(format, direction);
  return signal === undefined ? codec : closedBy(signal, codec);
}

function closedBy(signal: AbortSignal, codec: Codec): Codec {
  const { close } = codec;
  signal.addEventListener('abort', close);
  if (signal.aborted) close();
  return {
    ...codec,
    close: () => {
      signal.removeEventListener('abort', close);
      close();
    },
  };
}

async function codecOf(format: 'gzip' | 'zstd', direction: Direction): Promise<Codec> {
  const zlib = await import('node:zlib');
  if (format === 'gzip') return ofStream(direction === 'compress' ? zlib.createGzip() : gunzip(zlib.createGunzip));
  const newer: object = zlib;
  return hasZstd(newer) ? ofStream(zstdStream(newer, direction)) : ofProgram(direction);
}

/** A stream of zlib ends where zeros follow its data: what is left has to be gzip as well. */
function gunzip(open: () => CountingTransform): Duplex {
  return Duplex.from((source: AsyncIterable<Uint8Array>) => decompressFrames(source, open));
}

function hasZstd(zlib: object): zlib is ZstdOfNode {
  return 'createZstdCompress' in zlib;
}

function zstdStream({ createZstdCompress, createZstdDecompress, constants }: ZstdOfNode, direction: Direction): Duplex {
  const { ZSTD_c_checksumFlag: checksum, ZSTD_d_windowLogMax: windowLog } = constants;
  if (direction === 'compress') return createZstdCompress({ params: { [checksum]: 1 } });
  const open = (): CountingTransform => createZstdDecompress({ params: { [windowLog]: ZSTD_WINDOW_LOG } });
  return Duplex.from((source: AsyncIterable<Uint8Array>) => decompressFrames(wholeFrames(source), open));
}

/** Some releases of Node take the end of the input for the end of a frame. */
async function* wholeFrames(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const walk = new ZstdWalk();
  for await (const piece of source) {
    walk.pass(piece);
    yield piece;
  }
  if (!walk.isBetweenFrames) throw new CodecError('zstd: it ends within a frame');
}

function ofStream(stream: Duplex): Codec {
  return { input: stream, output: stream, done: Promise.resolve(), close: () => stream.destroy() };
}

function ofProgram(direction: Direction): Codec {
  const words = direction === 'compress' ? ['-q', '-c'] : ['-q', '-d', '-c'];
  // Detached, so that an interrupt at the terminal ends ckptfs first, which then says what became of its work.
  const child = withoutInheritance(() => spawn('zstd', words, { stdio: ['pipe', 'pipe', 'pipe'], detached: true }));
  const done = endOf(child);
  // Who reads the output asks for it later.
  done.catch(() => undefined);
  // When the program has ended, the end says why.
  child.stdin.on('error', () => undefined);
  return {
    input: child.stdin,
    output: child.stdout,
    done,
    close: () => {
      child.stdin.destroy();
      child.stdout.destroy();
      // One that is stopped hears nothing else, and it has nothing to put in order.
      child.kill('SIGKILL');
    },
  };
}

async function endOf(child: ChildProcess): Promise<void> {
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = `${said}${text}`.slice(0, MAX_SAID);
  });
  try {
    await once(child, 'close');
  } catch (cause) {
    const isMissing = systemErrorName(cause) === 'ENOENT';
    const message = isMissing
      ? 'this Node has no zstd, and there is no program zstd'
      : `the program zstd cannot be started: ${systemErrorName(cause) ?? String(cause)}`;
    throw new CkptfsError('missing-feature', message, { data: { feature: 'zstd' }, cause });
  }
  if (child.exitCode === 0) return;
  const why = said.trim() || `it ended by ${child.signalCode ?? `code ${child.exitCode}`}`;
  throw new CodecError(`zstd: ${printable(why)}`);
}
