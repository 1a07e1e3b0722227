import { Region } from '../base/linux/native.ts';
import type { Primitives } from './primitives.ts';
import { Secret } from './secret.ts';

/** Bytes of the result: one block of the derivation, which is a SHA-256. */
const SIZE = 32;

/**
 * Derives a key of 32 bytes for a JOSE algorithm from an agreed secret, in locked memory: Concat KDF (NIST SP 800-56A
 * §5.8.2.1) as RFC 7518 §4.6.2 uses it, without information on the parties. The caller wipes it.
 */
export function concatKdf(p: Primitives, agreed: Secret, algorithm: string): Secret {
  const name = Buffer.from(algorithm, 'ascii');
  const input = Secret.zeros(4 + agreed.length + 4 + name.length + 4 + 4 + 4);
  const region = new Region(input.bytes);
  let at = 0;
  const number = (value: number): void => {
    region.view.setUint32(at, value);
    at += 4;
  };
  const bytes = (value: Uint8Array): void => {
    region.bytes.set(value, at);
    at += value.length;
  };
  number(1);
  bytes(agreed.bytes);
  number(name.length);
  bytes(name);
  number(0);
  number(0);
  number(SIZE * 8);
  const key = Secret.zeros(SIZE);
  try {
    p.sha256(region, 0, region.length, new Region(key.bytes), 0);
    return key;
  } finally {
    input.wipe();
  }
}
