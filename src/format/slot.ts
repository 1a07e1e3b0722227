import { MalformedError } from '../base/bytes.ts';

/** A key slot: the image key wrapped for one recipient, as a flattened JWE (format.md §3, RFC 7516 §7.2.2). */
export interface SlotJwe {
  readonly protected: string;
  readonly encrypted_key: string;
  readonly iv: string;
  readonly ciphertext: string;
  readonly tag: string;
}

/** The members of a slot, in the order that they have in the header. */
const slotMembers = ['protected', 'encrypted_key', 'iv', 'ciphertext', 'tag'] as const;

/** Far above what any algorithm needs, post-quantum ones included. */
const MAX_MEMBER_LENGTH = 8192;

/**
 * Checks the form of one slot: exactly the known members, each 1 to 8192 characters of canonical base64url. Does not
 * check that a key opens it.
 * @param value from `JSON.parse`
 * @throws MalformedError
 */
export function parseSlot(value: unknown): SlotJwe {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new MalformedError('a key slot is not an object');
  }
  const members = new Map<string, unknown>(Object.entries(value));
  for (const name of members.keys()) {
    if (!(slotMembers as readonly string[]).includes(name))
      throw new MalformedError('a key slot has an unknown member');
  }
  const member = (name: keyof SlotJwe): string => {
    const text = members.get(name);
    if (typeof text !== 'string') throw new MalformedError(`a key slot has no text ${name}`);
    if (text.length === 0 || text.length > MAX_MEMBER_LENGTH) {
      throw new MalformedError(`${name} of a key slot has ${text.length} characters`);
    }
    if (!isBase64Url(text)) throw new MalformedError(`${name} of a key slot is not unpadded base64url`);
    return text;
  };
  return {
    protected: member('protected'),
    encrypted_key: member('encrypted_key'),
    iv: member('iv'),
    ciphertext: member('ciphertext'),
    tag: member('tag'),
  };
}

/**
 * Returns the parameters in a slot's protected header, or undefined when it is not a JSON object. They are
 * authenticated only once the slot has been opened.
 */
export function slotParameters(slot: SlotJwe): ReadonlyMap<string, unknown> | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(slot.protected, 'base64url'));
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    return new Map(Object.entries(value));
  } catch {
    return undefined;
  }
}

/** Returns the `alg` of a slot, such as `A256KW`, or undefined without one. It is not authenticated. */
export function slotAlgorithm(slot: SlotJwe): string | undefined {
  const algorithm = slotParameters(slot)?.get('alg');
  return typeof algorithm === 'string' ? algorithm : undefined;
}

/** Returns whether text is base64url (RFC 4648 §5) without padding and without set bits that decoding would drop. */
function isBase64Url(text: string): boolean {
  return /^[A-Za-z0-9_-]+$/.test(text) && Buffer.from(text, 'base64url').toString('base64url') === text;
}
