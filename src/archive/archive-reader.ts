import { MalformedError } from '../base/bytes.ts';
import type { CkptfsError } from '../base/errors.ts';
import { BLOCK_SIZE, isZero, paddingOf } from './blocks.ts';
import type { ByteStream } from './byte-stream.ts';
import { checkedMember } from './checked-member.ts';
import { addRecords, type Extensions, noExtensions, setOnce } from './extensions.ts';
import { decodeHeader, type Header } from './header.ts';
import type { Member } from './member.ts';
import { decodePax } from './pax-records.ts';
import { type NamedMap, readSparseMap } from './read-sparse-map.ts';
import { parsed, refusedArchive, refusedMember, shownName } from './refused.ts';

/** Bytes of one extended header or long name: they are in memory as a whole. */
const MAX_EXTENSION_BYTES = 1 << 20;
/** Bytes of zeros after the end, which fill up the last record of an archive: no program has records as large. */
const MAX_PADDING_BYTES = 64 << 20;

/**
 * Reads the members of a tar archive one after the other, in any of the formats v7, ustar, pax, GNU and star. What
 * programs read in different ways is refused, so that an image has what any of them would find.
 */
export class ArchiveReader {
  readonly #stream: ByteStream;
  readonly #archive: string;
  readonly #block = Buffer.alloc(BLOCK_SIZE);
  #member: Buffer = Buffer.alloc(0);
  /** Bytes of the contents of the member that were not read. */
  #left = 0;
  #padding = 0;

  /** @param archive its name in messages */
  constructor(stream: ByteStream, archive: string) {
    this.#stream = stream;
    this.#archive = archive;
  }

  /**
   * Goes to the next member, past what was not read of the last one.
   * @returns undefined at the end of the archive, after everything was read
   * @throws CkptfsError `unsupported-source`; what the stream throws
   */
  async next(): Promise<Member | undefined> {
    await this.#skip();
    const extensions = noExtensions();
    const types = new Set<string>();
    for (;;) {
      const isFirst = this.#stream.offset === 0;
      await this.#readBlock(isFirst);
      if (isZero(this.#block)) {
        if (types.size > 0) throw this.#malformed('the end comes after an extended header');
        return this.#end();
      }
      const header = isFirst ? this.#firstHeader() : this.#parsed(() => decodeHeader(this.#block));
      if (!EXTENSIONS.includes(header.type)) return this.#open(header, extensions);
      if (types.has(header.type)) throw this.#malformed('two extended headers of one type for one member');
      types.add(header.type);
      await this.#extend(extensions, header);
    }
  }

  /** Reads on in the contents that the archive stores of the member. @returns how many bytes; 0 at their end */
  async read(into: Uint8Array): Promise<number> {
    const length = Math.min(into.length, this.#left);
    await this.#fill(into.subarray(0, length));
    this.#left -= length;
    return length;
  }

  async #open(header: Header, extensions: Extensions): Promise<Member> {
    this.#member = extensions.name ?? header.name;
    const size = extensions.size ?? header.size;
    if (size > Number.MAX_SAFE_INTEGER) {
      throw refusedMember(this.#archive, this.#member, 'too-large', 'says that it has 2^53 bytes or more');
    }
    if (size < 0 || header.size < 0) throw this.#malformed('a size below 0');
    this.#left = size;
    this.#padding = paddingOf(size);
    const map = await this.#sparseMap(header, extensions, size);
    this.#member = map.name ?? this.#member;
    return this.#parsed(() => checkedMember(this.#archive, this.#member, header, extensions, map));
  }

  async #sparseMap(header: Header, extensions: Extensions, size: number): Promise<NamedMap> {
    try {
      return await readSparseMap(header, extensions, size, this.#block, {
        header: async () => {
          await this.#readBlock();
          return this.#block;
        },
        contents: async () => {
          if ((await this.read(this.#block)) < BLOCK_SIZE) throw new MalformedError('a sparse map that does not end');
          return this.#block;
        },
      });
    } catch (error) {
      return this.#parsed(() => {
        throw error;
      });
    }
  }

  /** Reads an extended header or a long name. */
  async #extend(extensions: Extensions, { type, size }: Header): Promise<void> {
    if (!(size >= 0 && size <= MAX_EXTENSION_BYTES)) {
      throw this.#malformed(`an extended header of more than ${MAX_EXTENSION_BYTES} bytes`);
    }
    const blocks = Buffer.alloc(size + paddingOf(size));
    const bytes = blocks.subarray(0, size);
    await this.#fill(blocks);
    this.#parsed(() => {
      switch (type) {
        case 'L':
          return setOnce(extensions, 'name', longName(blocks, size));
        case 'K':
          return setOnce(extensions, 'link', longName(blocks, size));
        case 'x':
          return addRecords(extensions, decodePax(bytes));
        default:
          return checkGlobal(decodePax(bytes).map(({ key }) => key));
      }
    });
  }

  /** Reads what follows the first block of zeros. */
  async #end(): Promise<undefined> {
    await this.#readBlock();
    for (let padding = 0; isZero(this.#block); padding += BLOCK_SIZE) {
      const count = await this.#stream.read(this.#block);
      if (count < BLOCK_SIZE && isZero(this.#block.subarray(0, count))) return undefined;
      if (padding > MAX_PADDING_BYTES) break;
    }
    throw refusedArchive(
      this.#archive,
      'malformed-archive',
      'goes on after its end: it is not one archive alone, or something was appended to it',
    );
  }

  async #skip(): Promise<void> {
    while ((await this.read(this.#block)) > 0);
    await this.#fill(this.#block.subarray(0, this.#padding));
    this.#padding = 0;
  }

  async #readBlock(isFirst = false): Promise<void> {
    const count = await this.#stream.read(this.#block);
    if (count === BLOCK_SIZE) return;
    if (isFirst && count === 0) throw refusedArchive(this.#archive, 'malformed-archive', 'is empty');
    throw isFirst ? this.#noArchive() : this.#truncated();
  }

  async #fill(into: Uint8Array): Promise<void> {
    if ((await this.#stream.read(into)) < into.length) throw this.#truncated();
  }

  #firstHeader(): Header {
    try {
      return decodeHeader(this.#block);
    } catch (error) {
      throw error instanceof MalformedError ? this.#noArchive() : error;
    }
  }

  #parsed<T>(parse: () => T): T {
    return parsed(this.#archive, this.#where, parse);
  }

  #malformed(what: string): CkptfsError {
    return refusedArchive(this.#archive, 'malformed-archive', `is malformed ${this.#where}: ${what}`);
  }

  #noArchive(): CkptfsError {
    const message = 'is not a tar archive, neither as it is nor compressed by gzip or zstd';
    return refusedArchive(this.#archive, 'malformed-archive', message);
  }

  #truncated(): CkptfsError {
    return refusedArchive(this.#archive, 'malformed-archive', `is truncated: it ends ${this.#where}`);
  }

  get #where(): string {
    return this.#member.length === 0 ? 'at its first member' : `at or after its member ${shownName(this.#member)}`;
  }
}

/** Types of what precedes a member: records for it, records for all that follow, a long name, a long target. */
const EXTENSIONS = ['x', 'g', 'L', 'K'];

/** Returns a long name, which programs end at its first NUL or at its size. */
function longName(blocks: Buffer, size: number): Buffer {
  const end = blocks.indexOf(0);
  if (end < 0 || end > size) throw new MalformedError('a long name without its end');
  return blocks.subarray(0, end);
}

/** Programs apply records for all members in different ways, so that only those without an effect are taken. */
function checkGlobal(keys: readonly string[]): void {
  const other = keys.find((key) => key !== 'comment');
  if (other !== undefined) throw new MalformedError(`a record ${other} for all members`);
}
