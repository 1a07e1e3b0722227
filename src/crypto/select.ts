import { createNodePrimitives } from './node.ts';
import { createOpenSslPrimitives } from './openssl.ts';
import type { Primitives } from './primitives.ts';

const made = new Map<Primitives['name'], Primitives>();

/**
 * Returns the primitives of this thread: OpenSSL's own functions where they can be called, otherwise node:crypto.
 * @param name forces one implementation
 * @throws Error when the forced one is not available
 */
export function primitives(name?: Primitives['name']): Primitives {
  if (name !== undefined) return remembered(name);
  try {
    return remembered('openssl');
  } catch {
    return remembered('node');
  }
}

function remembered(name: Primitives['name']): Primitives {
  const known = made.get(name);
  if (known !== undefined) return known;
  const fresh = name === 'openssl' ? createOpenSslPrimitives() : createNodePrimitives();
  made.set(name, fresh);
  return fresh;
}
