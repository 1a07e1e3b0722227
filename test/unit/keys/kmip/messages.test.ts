import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { newKeyAttributes, readAttributes, templateItem } from '../../../../src/keys/kmip/attributes.ts';
import {
  bytes,
  decodeResponse,
  encodeRequest,
  enumeration,
  integer,
  OperationFailure,
  required,
  structure,
  text,
  versionsIn,
} from '../../../../src/keys/kmip/messages.ts';
import { type OperationName, tag } from '../../../../src/keys/kmip/tags.ts';
import type { Ttlv } from '../../../../src/keys/kmip/ttlv.ts';

/** Messages that went between another client and a server. */
const recorded: { messages: { name: string; request: string; response: string }[] } = JSON.parse(
  readFileSync(new URL('../../../vectors/kmip/pykmip-1.4.json', import.meta.url), 'utf8'),
);

function message(name: string, kind: 'request' | 'response'): Buffer {
  const found = recorded.messages.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no message ${name}`);
  return Buffer.from(found[kind], 'hex');
}

const id = text(tag.uniqueIdentifier, '1');

describe('requests are those of another client', () => {
  const why = structure(tag.revocationReason, [enumeration(tag.revocationReasonCode, 6)]);
  const parameters = structure(tag.cryptographicParameters, [
    enumeration(tag.blockCipherMode, 9),
    enumeration(tag.cryptographicAlgorithm, 3),
    integer(tag.tagLength, 16),
  ]);
  const encrypted = [
    id,
    parameters,
    bytes(tag.data, Buffer.alloc(32, 0x5a)),
    bytes(tag.ivCounterNonce, Buffer.alloc(12, 7)),
    bytes(tag.authenticatedEncryptionAdditionalData, Buffer.from('ckpt-aad')),
  ];
  test.each<[string, OperationName, readonly Ttlv[]]>([
    ['Get', 'get', [id]],
    ['GetAttributes', 'getAttributes', [id, text(tag.attributeName, 'State')]],
    ['Query', 'query', [1, 2, 3].map((number) => enumeration(tag.queryFunction, number))],
    ['Revoke', 'revoke', [id, why]],
    ['Encrypt-GCM', 'encrypt', encrypted],
  ])('%s', (name, operation, payload) => {
    expect(encodeRequest('1.4', operation, payload).toString('hex')).toBe(message(name, 'request').toString('hex'));
  });

  test('Create, but for the use that the key is for', () => {
    const payload = [enumeration(tag.objectType, 2), templateItem('1.4', newKeyAttributes('node-k'))];
    const request = encodeRequest('1.4', 'create', payload).toString('hex');
    const mask = (uses: string): string => `42000b0200000004${uses}00000000`;
    expect(request.replace(mask('0000003c'), mask('0000000c'))).toBe(message('Create', 'request').toString('hex'));
  });
});

describe('answers of a server', () => {
  test('have the versions that it speaks', () => {
    const payload = decodeResponse(message('DiscoverVersions', 'response'), 'discoverVersions');
    expect(versionsIn(payload)).toEqual(['2.0', '1.4', '1.3', '1.2', '1.1', '1.0']);
  });

  test('have the attributes of a key', () => {
    const payload = decodeResponse(message('GetAttributes', 'response'), 'getAttributes');
    expect(readAttributes('1.4', payload)).toEqual({
      names: [],
      state: 'active',
      algorithm: undefined,
      bits: undefined,
    });
  });

  test('have what it encrypted, and its tag', () => {
    const payload = decodeResponse(message('Encrypt-GCM', 'response'), 'encrypt');
    expect(required(payload, tag.data, 'bytes').length).toBe(32);
    expect(required(payload, tag.authenticatedEncryptionTag, 'bytes').length).toBe(16);
  });

  test('say what it has not done', () => {
    const refused = message('Get-missing', 'response');
    expect(() => decodeResponse(refused, 'get')).toThrow(OperationFailure);
    try {
      decodeResponse(refused, 'get');
    } catch (error) {
      expect(error).toMatchObject({ reason: 1, said: 'Could not locate object: 1' });
    }
  });

  test('to another operation, or requests, are refused', () => {
    expect(() => decodeResponse(message('Get', 'response'), 'locate')).toThrow('another operation');
    expect(() => decodeResponse(message('Get', 'request'), 'get')).toThrow('no response');
  });
});
