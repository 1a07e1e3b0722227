import { MalformedError } from '../../base/bytes.ts';
import { enumeration, integer, optional, type ProtocolVersion, required, structure, text } from './messages.ts';
import { AES, type KeyState, keyStates, SYMMETRIC_KEY, tag, UNINTERPRETED_NAME, usageMask } from './tags.ts';
import type { Ttlv } from './ttlv.ts';

/** An attribute of an object: its name as KMIP 1.x writes it, and its value under the tag of KMIP 2.0. */
interface Attribute {
  readonly name: string;
  readonly item: Ttlv;
}

/** What is known of a key. */
export interface KeyAttributes {
  readonly names: readonly string[];
  readonly state: KeyState | undefined;
  /** The number that the standard gives to its algorithm. */
  readonly algorithm: number | undefined;
  /** Its length in bits. */
  readonly bits: number | undefined;
}

/** The attributes of a key that KMIP 1.x is asked for by name. */
export const askedAttributes: readonly string[] = ['State', 'Name', 'Cryptographic Algorithm', 'Cryptographic Length'];

/** What a new key of AES-256 has: it encrypts and wraps. */
export function newKeyAttributes(name: string): readonly Attribute[] {
  const mask = usageMask.encrypt | usageMask.decrypt | usageMask.wrapKey | usageMask.unwrapKey;
  return [
    { name: 'Cryptographic Algorithm', item: enumeration(tag.cryptographicAlgorithm, AES) },
    { name: 'Cryptographic Length', item: integer(tag.cryptographicLength, 256) },
    { name: 'Cryptographic Usage Mask', item: integer(tag.cryptographicUsageMask, mask) },
    named(name),
  ];
}

/** What finds keys of a name, or all of them. */
export function wantedAttributes(name?: string): readonly Attribute[] {
  const kind = { name: 'Object Type', item: enumeration(tag.objectType, SYMMETRIC_KEY) };
  return name === undefined ? [kind] : [kind, named(name)];
}

/** Encodes the attributes of a new object. */
export function templateItem(version: ProtocolVersion, attributes: readonly Attribute[]): Ttlv {
  return version === '2.0'
    ? structure(tag.attributes, items(attributes))
    : structure(tag.templateAttribute, attributes.map(attributeItem));
}

/** Encodes the attributes of objects that are looked for. */
export function wantedItems(version: ProtocolVersion, attributes: readonly Attribute[]): readonly Ttlv[] {
  return version === '2.0' ? [structure(tag.attributes, items(attributes))] : attributes.map(attributeItem);
}

/** Reads the attributes that an answer has. @throws MalformedError */
export function readAttributes(version: ProtocolVersion, payload: readonly Ttlv[]): KeyAttributes {
  const values = version === '2.0' ? required(payload, tag.attributes, 'structure') : payload.flatMap(attributeValue);
  const state = optional(values, tag.state, 'enumeration');
  const stateName = state === undefined ? undefined : keyStates[state - 1];
  if (state !== undefined && stateName === undefined) throw new MalformedError(`a key of state ${state}`);
  const names = values.flatMap((item) =>
    item.tag === tag.name && item.type === 'structure' ? [required(item.value, tag.nameValue, 'text')] : [],
  );
  return {
    names,
    state: stateName,
    algorithm: optional(values, tag.cryptographicAlgorithm, 'enumeration'),
    bits: optional(values, tag.cryptographicLength, 'integer'),
  };
}

function named(name: string): Attribute {
  const value = [text(tag.nameValue, name), enumeration(tag.nameType, UNINTERPRETED_NAME)];
  return { name: 'Name', item: structure(tag.name, value) };
}

function items(attributes: readonly Attribute[]): readonly Ttlv[] {
  return attributes.map(({ item }) => item);
}

function attributeItem({ name, item }: Attribute): Ttlv {
  return structure(tag.attribute, [text(tag.attributeName, name), { ...item, tag: tag.attributeValue }]);
}

const tagsByName: ReadonlyMap<string, number> = new Map([
  ['State', tag.state],
  ['Name', tag.name],
  ['Cryptographic Algorithm', tag.cryptographicAlgorithm],
  ['Cryptographic Length', tag.cryptographicLength],
]);

/** Returns the value of an attribute of KMIP 1.x under the tag of KMIP 2.0. */
function attributeValue(item: Ttlv): readonly Ttlv[] {
  if (item.tag !== tag.attribute || item.type !== 'structure') return [];
  const known = tagsByName.get(required(item.value, tag.attributeName, 'text'));
  const value = item.value.find((each) => each.tag === tag.attributeValue);
  return known === undefined || value === undefined ? [] : [{ ...value, tag: known }];
}
