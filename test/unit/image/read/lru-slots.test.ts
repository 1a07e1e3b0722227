import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LruSlots } from '../../../../src/image/read/lru-slots.ts';

/** What LruSlots promises, by a Map in order of use. */
class Model {
  readonly slots = new Map<number, number>();
  readonly #count: number;
  readonly #released: number[] = [];
  #used = 0;

  constructor(count: number) {
    this.#count = count;
  }

  find(key: number): number {
    const slot = this.slots.get(key);
    if (slot === undefined) return -1;
    this.slots.delete(key);
    this.slots.set(key, slot);
    return slot;
  }

  claim(key: number): number {
    const slot = this.#released.pop() ?? (this.#used < this.#count ? this.#used++ : this.#oldest());
    this.slots.set(key, slot);
    return slot;
  }

  release(key: number): void {
    this.#released.push(this.slots.get(key) as number);
    this.slots.delete(key);
  }

  clear(): void {
    this.slots.clear();
    this.#released.length = 0;
    this.#used = 0;
  }

  #oldest(): number {
    const [key, slot] = this.slots.entries().next().value as [number, number];
    this.slots.delete(key);
    return slot;
  }
}

/** Small keys that meet again, and large ones that differ in the high or in the low half only. */
const keys = fc.oneof(
  fc.nat(12),
  fc.nat(12).map((high) => high * 2 ** 40),
  fc.constantFrom(2 ** 32, 2 ** 53 - 1),
);
const steps = fc.array(fc.tuple(fc.constantFrom('use', 'use', 'use', 'use', 'release', 'clear'), keys), {
  maxLength: 200,
});

test('behaves like a map in order of use', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), steps, (count, taken) => {
      const slots = new LruSlots(count);
      const model = new Model(count);
      for (const [step, key] of taken) {
        if (step === 'clear') {
          slots.clear();
          model.clear();
        } else {
          const found = model.find(key);
          expect(slots.find(key)).toBe(found);
          if (step === 'use' && found === -1) expect(slots.claim(key)).toBe(model.claim(key));
          if (step === 'release' && found !== -1) {
            slots.release(found);
            model.release(key);
          }
        }
        for (const known of model.slots.values()) expect(known).toBeLessThan(slots.used);
      }
    }),
  );
});

test('gives each of many keys a slot of its own', () => {
  const slots = new LruSlots(4096);
  const given = new Set(Array.from({ length: 4096 }, (_, at) => slots.claim(at * 3)));
  expect(given.size).toBe(4096);
  for (let at = 0; at < 4096; at++) expect(slots.find(at * 3)).toBe(at);
  expect(slots.claim(1)).toBe(0);
  expect(slots.find(0)).toBe(-1);
});
