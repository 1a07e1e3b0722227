import { MalformedError } from '../../base/bytes.ts';
import { sized, TpmReader, u8, u16, u32 } from './tpm-bytes.ts';

/** What a slot of a TPM has for `encrypted_key` (docs/key-services.md). */

const VERSION = 1;
/** A select of 24 registers has 3 bytes. */
const SELECT_SIZE = 3;
const MAX_PART_SIZE = 1024;

/** Algorithms of banks, by TPM_ALG_ID. */
export const BANKS: Readonly<Record<string, number>> = { sha1: 0x0004, sha256: 0x000b, sha384: 0x000c, sha512: 0x000d };

/** Registers of one bank. */
export interface PcrSelection {
  readonly bank: string;
  /** Ascending, 0 to 23. */
  readonly registers: readonly number[];
}

/** A sealed object, and the registers that it is sealed to. */
export interface SealedContent {
  readonly pcrs: PcrSelection | undefined;
  /** What TPM2B_PRIVATE and TPM2B_PUBLIC hold. */
  readonly privatePart: Buffer;
  readonly publicPart: Buffer;
}

export function encodeSealed({ pcrs, privatePart, publicPart }: SealedContent): Buffer {
  return Buffer.concat([u8(VERSION), encodeSelection(pcrs), sized(privatePart), sized(publicPart)]);
}

/** @param bytes from a slot: anyone may have made them. @throws MalformedError for what encodes to something else */
export function parseSealed(bytes: Buffer): SealedContent {
  const reader = new TpmReader(bytes);
  const version = reader.u8();
  if (version !== VERSION) throw new MalformedError(`sealed content of version ${version}`);
  const [pcrs] = readSelection(reader);
  if (pcrs?.registers.length === 0) throw new MalformedError('no register');
  const [privatePart, publicPart] = [reader.sized(), reader.sized()];
  for (const { length } of [privatePart, publicPart])
    if (length === 0 || length > MAX_PART_SIZE) throw new MalformedError(`a part of ${length} bytes`);
  const sealed = { pcrs, privatePart, publicPart };
  if (!encodeSealed(sealed).equals(bytes)) throw new MalformedError('it is not as it would be written');
  return sealed;
}

/** Writes a TPML_PCR_SELECTION of one bank, or none. */
export function encodeSelection(pcrs: PcrSelection | undefined): Buffer {
  if (pcrs === undefined) return u32(0);
  const select = Buffer.alloc(SELECT_SIZE);
  for (const register of pcrs.registers)
    select.writeUInt8(select.readUInt8(register >> 3) | (1 << (register & 7)), register >> 3);
  return Buffer.concat([u32(1), u16(BANKS[pcrs.bank] ?? 0), sizedSelect(select)]);
}

/** Parses `sha256:0,7`. Returns undefined for anything else. */
export function parsePcrs(text: string): PcrSelection | undefined {
  const [, bank = '', list = ''] = /^([a-z0-9]+):(\d{1,2}(?:,\d{1,2})*)$/.exec(text) ?? [];
  const registers = [...new Set(list.split(',').map(Number))].sort((a, b) => a - b);
  const isRight = list !== '' && Object.hasOwn(BANKS, bank) && registers.every((one) => one < SELECT_SIZE * 8);
  return isRight ? { bank, registers } : undefined;
}

/** Writes what {@link parsePcrs} parses. */
export function pcrsText({ bank, registers }: PcrSelection): string {
  return `${bank}:${registers.join(',')}`;
}

/** Reads a TPML_PCR_SELECTION. Banks of other algorithms are left out. @throws MalformedError */
export function readSelection(reader: TpmReader): PcrSelection[] {
  const selections: PcrSelection[] = [];
  for (let count = reader.u32(); count > 0; count--) {
    const algorithm = reader.u16();
    const select = reader.take(reader.u8());
    const bank = Object.keys(BANKS).find((name) => BANKS[name] === algorithm);
    const all = Array.from({ length: select.length * 8 }, (_, register) => register);
    const registers = all.filter((register) => ((select[register >> 3] ?? 0) >> (register & 7)) & 1);
    if (bank !== undefined) selections.push({ bank, registers });
  }
  return selections;
}

function sizedSelect(select: Buffer): Buffer {
  return Buffer.concat([u8(select.length), select]);
}
