import { MalformedError } from '../base/bytes.ts';
import { membersOf } from './members.ts';

/** What a recipient gave that a slot was made for. */
export const slotKinds = [
  'key',
  'passphrase',
  'certificate',
  'public-key',
  'ssh',
  'age',
  'kmip',
  'pkcs11',
  'tpm2',
  'keyprovider',
  'vault',
] as const;
export type SlotKind = (typeof slotKinds)[number];

/** What a key slot says of itself to people: the unprotected header of its JWE (format.md §3). */
export interface SlotDescription {
  readonly kind?: SlotKind;
  /** 1 to 128 characters without control characters. */
  readonly label?: string;
  /**
   * The subject of a certificate, the comment of an SSH key, or where a key service has the key: 1 to 512 characters
   * without control characters.
   */
  readonly subject?: string;
  /** SHA-256 of a certificate, in base64url. */
  readonly certificate?: string;
  /** When a certificate expires: `YYYY-MM-DDThh:mm:ssZ`. */
  readonly notAfter?: string;
  /** When the slot was made: `YYYY-MM-DDThh:mm:ssZ`. */
  readonly created?: string;
  /** Where the symmetric key can be had: an https URL of at most 1024 characters of ASCII. */
  readonly url?: string;
}

type MemberName = keyof SlotDescription;

/** Each member in the order of the header, with what it may be. */
const forms: Readonly<Record<MemberName, (text: string) => boolean>> = {
  kind: (text) => (slotKinds as readonly string[]).includes(text),
  label: isSlotLabel,
  subject: (text) => isLine(text, 512),
  certificate: (text) => /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/.test(text),
  notAfter: isInstant,
  created: isInstant,
  url: (text) => /^https:\/\/[\x21-\x7e]+$/.test(text) && text.length <= 1024,
};

/**
 * Checks the form of a description: at least one member, none but those of {@link SlotDescription}, each in its form.
 * @param value from `JSON.parse`
 * @throws MalformedError
 */
export function parseSlotDescription(value: unknown): SlotDescription {
  const members = membersOf(value, 'the header of a key slot');
  if (members.size === 0) throw new MalformedError('the header of a key slot is empty');
  for (const [name, text] of members) {
    if (!Object.hasOwn(forms, name)) throw new MalformedError('the header of a key slot has an unknown member');
    const isRight = typeof text === 'string' && forms[name as MemberName](text);
    if (!isRight) throw new MalformedError(`${name} in the header of a key slot is not what it may be`);
  }
  const ordered = Object.keys(forms).filter((name) => members.has(name));
  return Object.fromEntries(ordered.map((name) => [name, members.get(name)]));
}

/** Returns whether a text can be the label of a slot. */
export function isSlotLabel(text: string): boolean {
  return isLine(text, 128);
}

/** Returns a time as slots have it, without fractions of a second. */
export function slotInstant(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`;
}

/** Returns whether a text is a time as slots have it. */
export function isInstant(text: string): boolean {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text) && isReal(text);
}

/** Returns whether a time exists: JavaScript reads the 30th of February as the 1st of March. */
function isReal(text: string): boolean {
  const time = new Date(text);
  return !Number.isNaN(time.getTime()) && slotInstant(time) === text;
}

/** Returns whether a text is one line of at most `max` characters, with no half of a surrogate pair. */
function isLine(text: string, max: number): boolean {
  return text.length > 0 && text.length <= max && !/\p{Cc}/u.test(text) && Buffer.from(text).toString() === text;
}
