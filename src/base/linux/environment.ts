import { bind, memoryAt } from './native.ts';

const calls = {
  getenv: bind('getenv', 'uintptr_t', ['str']),
  strlen: bind('strlen', 'size_t', ['uintptr_t']),
} as const;

/**
 * Returns the value of an environment variable where it is in memory, not a copy: overwriting it changes what
 * /proc/PID/environ shows. Returns undefined when there is no such variable. Must not be used any more once the
 * variable is changed or removed.
 */
export function environmentValue(name: string): Uint8Array | undefined {
  const address = calls.getenv(name);
  return address === 0 ? undefined : memoryAt(address, calls.strlen(address));
}
