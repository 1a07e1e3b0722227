// Goal: no length that a module gives is believed, and nothing is left in a token.
import { afterEach, describe, expect, test } from 'vitest';
import { memoryAt } from '../../../../src/base/linux/native.ts';
import { Secret } from '../../../../src/crypto/secret.ts';
import { CKR, ModuleFault } from '../../../../src/keys/pkcs11/faults.ts';
import { Session } from '../../../../src/keys/pkcs11/session.ts';
import { CKA, Mechanism, Template } from '../../../../src/keys/pkcs11/structures.ts';
import { type MadeFunction, MadeModule, putUlong, ulongAt } from '../../../support/made-token-module.ts';

const TOO_MUCH = 2n ** 40n;
const UNAVAILABLE = 2n ** 64n - 1n;
let made: MadeModule;
afterEach(() => made.dispose());

function session(functions: Readonly<Record<string, MadeFunction>>): Session {
  made = new MadeModule(functions);
  return new Session(made.functions, 1);
}

/** C_GetAttributeValue of one attribute: answers bytes, or a length alone. */
const attribute =
  (answer: Uint8Array | bigint): MadeFunction =>
  (_session, _object, template) => {
    if (answer instanceof Uint8Array) memoryAt(ulongAt(template + 8), answer.length).set(answer);
    putUlong(template + 16, answer instanceof Uint8Array ? answer.length : answer);
    return CKR.OK;
  };

const answering =
  (place: number, value: bigint | number, returned: number = CKR.OK): MadeFunction =>
  (...args) => {
    putUlong(args[place] ?? 0, value);
    return returned;
  };

describe('lengths that lie', () => {
  const key = () => Secret.random(32);
  const mechanism = () => Mechanism.aesKeyWrap();
  test.each([
    ['objects', { C_FindObjects: answering(3, TOO_MUCH) }, (s: Session) => s.find(new Template([]), 4)],
    ['an attribute', { C_GetAttributeValue: attribute(TOO_MUCH) }, (s: Session) => s.attribute(1, CKA.id, 16)],
    ['a number', { C_GetAttributeValue: attribute(3n) }, (s: Session) => s.numberAttribute(1, CKA.keyType)],
    ['a plaintext', { C_Decrypt: answering(4, TOO_MUCH) }, (s: Session) => s.decrypt(mechanism(), 1, key().bytes, 256)],
    ['a wrapped key', { C_WrapKey: answering(5, TOO_MUCH) }, (s: Session) => s.wrap(mechanism(), 1, key(), 80)],
    ['a key', { C_GetAttributeValue: attribute(33n) }, (s: Session) => s.unwrap(mechanism(), 1, key().bytes, 32)],
  ] as const)('of %s', (_, functions, use) => {
    const lied = session(functions);
    expect(() => use(lied)).toThrow(ModuleFault);
  });
});

test('what a token does not show is undefined', () => {
  expect(session({ C_GetAttributeValue: attribute(UNAVAILABLE) }).attribute(1, CKA.id, 16)).toBeUndefined();
  made.dispose();
  expect(session({ C_GetAttributeValue: () => CKR.ATTRIBUTE_SENSITIVE }).attribute(1, CKA.id, 16)).toBeUndefined();
});

test('a key that was unwrapped is taken out and destroyed, also when it is of another size', () => {
  const bytes = Buffer.alloc(32, 9);
  let destroyed = 0;
  const functions: Record<string, MadeFunction> = {
    C_UnwrapKey: answering(7, 77),
    C_GetAttributeValue: attribute(bytes),
    C_DestroyObject: (_session, object) => {
      destroyed += object;
      return CKR.OK;
    },
  };
  const whole = session(functions).unwrap(Mechanism.aesKeyWrap(), 1, Buffer.alloc(40), 32);
  expect(Buffer.from(whole?.bytes ?? [])).toEqual(bytes);
  made.dispose();
  functions['C_GetAttributeValue'] = attribute(bytes.subarray(0, 31));
  expect(session(functions).unwrap(Mechanism.aesKeyWrap(), 1, Buffer.alloc(40), 32)).toBeUndefined();
  expect(destroyed).toBe(2 * 77);
});

test('the content key does not stay in the token when wrapping fails', () => {
  const wrapping = session({ C_CreateObject: answering(3, 5), C_WrapKey: () => CKR.KEY_NOT_WRAPPABLE });
  expect(() => wrapping.wrap(Mechanism.aesKeyWrap(), 1, Secret.random(32), 80)).toThrow('CKR_KEY_NOT_WRAPPABLE');
  expect(made.calls.get('C_DestroyObject')).toBe(1);
});

test('a key object for wrapping has the bytes of the content key and no place in the token', () => {
  const contentKey = Secret.random(32);
  let seen: [type: number, value: Buffer][] = [];
  const wrapping = session({
    C_CreateObject: (_session, template, count) => {
      seen = Array.from({ length: count }, (_, at) => {
        const [type, address, length] = [0, 8, 16].map((field) => ulongAt(template + 24 * at + field));
        return [type ?? 0, Buffer.from(memoryAt(address ?? 0, length ?? 0))];
      });
      return CKR.OK;
    },
  });
  wrapping.wrap(Mechanism.aesKeyWrap(), 1, contentKey, 80);
  const attributes = new Map(seen);
  expect(attributes.get(CKA.value)?.equals(Buffer.from(contentKey.bytes))).toBe(true);
  expect(attributes.get(CKA.token)).toEqual(Buffer.of(0));
});
