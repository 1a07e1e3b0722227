import { MalformedError } from '../../base/bytes.ts';
import { type OperationName, operation, resultStatus, tag } from './tags.ts';
import { decodeTtlv, encodeTtlv, type Ttlv, type TtlvValues } from './ttlv.ts';

/** The versions of the protocol that are spoken, the best one first. */
export const protocolVersions = ['2.0', '1.4', '1.3', '1.2'] as const;
export type ProtocolVersion = (typeof protocolVersions)[number];

/** A server answers that it has not done what it was asked. */
export class OperationFailure extends Error {
  override readonly name = 'OperationFailure';
  readonly reason: number | undefined;
  /** What the server says of it. Anything may be in it. */
  readonly said: string | undefined;

  /** @param reason of the standard (`resultReason`) */
  constructor(reason: number | undefined, said: string | undefined) {
    super(`the server has not done it (result reason ${reason})`);
    this.reason = reason;
    this.said = said;
  }
}

/** Encodes a request of one operation, in memory outside the heap (KMIP 1.4 §7.1). */
export function encodeRequest(version: ProtocolVersion, name: OperationName, payload: readonly Ttlv[]): Buffer {
  return encodeTtlv(
    structure(tag.requestMessage, [
      structure(tag.requestHeader, [versionItem(version), integer(tag.batchCount, 1)]),
      structure(tag.batchItem, [enumeration(tag.operation, operation[name]), structure(tag.requestPayload, payload)]),
    ]),
  );
}

/**
 * Decodes the answer to a request of one operation. Values of bytes are views of `message`.
 * @returns the items of its payload
 * @throws MalformedError when it is no such answer; OperationFailure when the server has not done it
 */
export function decodeResponse(message: Uint8Array, name: OperationName): readonly Ttlv[] {
  const response = decodeTtlv(message);
  if (response.tag !== tag.responseMessage || response.type !== 'structure')
    throw new MalformedError('it is no response of KMIP');
  const items = response.value.filter((item) => item.tag === tag.batchItem);
  const [item] = items;
  if (items.length !== 1 || item?.type !== 'structure') throw new MalformedError('it is not the answer to one request');
  const of = optional(item.value, tag.operation, 'enumeration');
  if (of !== undefined && of !== operation[name]) throw new MalformedError('it answers another operation');
  if (required(item.value, tag.resultStatus, 'enumeration') !== resultStatus.success) {
    const reason = optional(item.value, tag.resultReason, 'enumeration');
    throw new OperationFailure(reason, optional(item.value, tag.resultMessage, 'text'));
  }
  if (of === undefined) throw new MalformedError('it does not say which operation it answers');
  return optional(item.value, tag.responsePayload, 'structure') ?? [];
}

/** Encodes a version as messages have it. */
export function versionItem(version: ProtocolVersion): Ttlv {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return structure(tag.protocolVersion, [
    integer(tag.protocolVersionMajor, major),
    integer(tag.protocolVersionMinor, minor),
  ]);
}

/** Returns the versions that items have, as texts such as `1.4`. @throws MalformedError */
export function versionsIn(items: readonly Ttlv[]): readonly string[] {
  return items.flatMap((item) => {
    if (item.tag !== tag.protocolVersion || item.type !== 'structure') return [];
    const major = required(item.value, tag.protocolVersionMajor, 'integer');
    return [`${major}.${required(item.value, tag.protocolVersionMinor, 'integer')}`];
  });
}

/** Returns the value of the first item with a tag; undefined without one. @throws MalformedError for another type */
export function optional<Type extends keyof TtlvValues>(
  items: readonly Ttlv[],
  wanted: number,
  type: Type,
): TtlvValues[Type] | undefined {
  const item = items.find((each) => each.tag === wanted);
  if (item === undefined) return undefined;
  if (item.type !== type) throw new MalformedError(`item ${wanted.toString(16)} is not of type ${type}`);
  return item.value as TtlvValues[Type];
}

/** Like {@link optional}, for an item that must be there. */
export function required<Type extends keyof TtlvValues>(
  items: readonly Ttlv[],
  wanted: number,
  type: Type,
): TtlvValues[Type] {
  const value = optional(items, wanted, type);
  if (value === undefined) throw new MalformedError(`item ${wanted.toString(16)} is missing`);
  return value;
}

export function structure(of: number, value: readonly Ttlv[]): Ttlv {
  return { tag: of, type: 'structure', value };
}

export function integer(of: number, value: number): Ttlv {
  return { tag: of, type: 'integer', value };
}

export function enumeration(of: number, value: number): Ttlv {
  return { tag: of, type: 'enumeration', value };
}

export function text(of: number, value: string): Ttlv {
  return { tag: of, type: 'text', value };
}

export function bytes(of: number, value: Uint8Array): Ttlv {
  return { tag: of, type: 'bytes', value };
}
