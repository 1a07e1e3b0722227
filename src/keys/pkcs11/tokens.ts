import { CkptfsError } from '../../base/errors.ts';
import { Region } from '../../base/linux/native.ts';
import { printable } from '../../base/printable.ts';
import { CKR, keyUnavailable, ModuleFault } from './faults.ts';
import type { TokenModule } from './module.ts';
import {
  CKF_TOKEN,
  readSlotInfo,
  readTokenInfo,
  readUlong,
  SLOT_INFO_SIZE,
  type SlotInfo,
  TOKEN_INFO_SIZE,
  type TokenInfo,
  ULONG_SIZE,
  UlongCell,
} from './structures.ts';
import type { PathAttribute, Pkcs11Uri } from './uri.ts';

/** Slots of a module that are looked at. */
const MAX_SLOTS = 1024;

/** A token in a slot. */
export interface Token {
  readonly slot: number;
  readonly info: TokenInfo;
  /** Its label, for messages. */
  readonly name: string;
}

/**
 * Returns the one token that a URI selects.
 * @param source names the URI in messages
 * @throws CkptfsError `key-unavailable` when there is none, or it is not initialized; `bad-argument` when there are
 *   several; ModuleFault
 */
export function findToken(module: TokenModule, { path }: Pkcs11Uri, source: string): Token {
  const library = module.info();
  const isOfLibrary =
    isSame(path, 'library-manufacturer', library.manufacturer) &&
    isSame(path, 'library-description', library.description) &&
    isSame(path, 'library-version', Buffer.from(library.version));
  const all = isOfLibrary ? slotsOf(module).flatMap((slot) => tokensIn(module, slot, path)) : [];
  const found = all.filter(({ info }) => (info.flags & CKF_TOKEN.initialized) !== 0);
  const [token] = found;
  if (token === undefined) {
    if (all.length > 0) throw keyUnavailable('refused', `${source}: the token is not initialized`);
    throw keyUnavailable('unreachable', `${source}: no such token is present (${module.path})`);
  }
  if (found.length === 1) return token;
  const names = found.map(({ name, info }) => `"${name}" with serial=${printable(info.serial.toString())}`);
  throw new CkptfsError('bad-argument', `${source} fits ${found.length} tokens: ${names.slice(0, 4).join(', ')}`);
}

/** Reads the flags of a token again. @throws ModuleFault */
export function readToken(module: TokenModule, slot: number): TokenInfo {
  const region = new Region(TOKEN_INFO_SIZE);
  module.functions.call('C_GetTokenInfo', slot, region.address);
  return readTokenInfo(region);
}

function slotsOf({ functions }: TokenModule): number[] {
  const [slots, count] = [new Region(ULONG_SIZE * MAX_SLOTS), new UlongCell(MAX_SLOTS)];
  functions.call('C_GetSlotList', 1, slots.address, count.address);
  if (count.value > MAX_SLOTS) throw ModuleFault.garbage('C_GetSlotList', `${count.value} slots`);
  return Array.from({ length: count.value }, (_, at) => readUlong(slots, ULONG_SIZE * at));
}

/** Returns the token of a slot if the attributes select it. */
function tokensIn(module: TokenModule, slot: number, path: Pkcs11Uri['path']): Token[] {
  const region = new Region(SLOT_INFO_SIZE);
  module.functions.call('C_GetSlotInfo', slot, region.address);
  if (!isSelectedSlot(path, slot, readSlotInfo(region))) return [];
  try {
    const info = readToken(module, slot);
    return isSelectedToken(path, info) ? [{ slot, info, name: printable(info.label.toString(), 64) }] : [];
  } catch (error) {
    const isGone = error instanceof ModuleFault && error.returned !== undefined && goneTokens.has(error.returned);
    if (isGone) return [];
    throw error;
  }
}

const goneTokens: ReadonlySet<number> = new Set([
  CKR.TOKEN_NOT_PRESENT,
  CKR.TOKEN_NOT_RECOGNIZED,
  CKR.DEVICE_REMOVED,
  CKR.DEVICE_ERROR,
]);

function isSelectedSlot(path: Pkcs11Uri['path'], slot: number, info: SlotInfo): boolean {
  const wanted = path.get('slot-id');
  return (
    (wanted === undefined || Number(wanted.toString()) === slot) &&
    isSame(path, 'slot-description', info.description) &&
    isSame(path, 'slot-manufacturer', info.manufacturer)
  );
}

function isSelectedToken(path: Pkcs11Uri['path'], info: TokenInfo): boolean {
  return (
    isSame(path, 'token', info.label) &&
    isSame(path, 'manufacturer', info.manufacturer) &&
    isSame(path, 'model', info.model) &&
    isSame(path, 'serial', info.serial)
  );
}

function isSame(path: Pkcs11Uri['path'], name: PathAttribute, found: Buffer): boolean {
  return path.get(name)?.equals(found) ?? true;
}
