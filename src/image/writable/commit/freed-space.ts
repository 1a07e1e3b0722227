import { invariant } from '../../../base/assert.ts';
import { type ChunkRun, FreePlaces } from '../model/free-places.ts';
import type { ObjectTable } from '../model/object-table.ts';
import type { HolePuncher } from '../objects/hole-puncher.ts';

/** Gives the space of freed and abandoned places back, once no state that may come back needs them (W10). */
export class FreedSpace {
  readonly #table: ObjectTable;
  readonly #puncher: HolePuncher;
  /** Places freed by frames that are durable. They are punched when a barrier after these frames is durable. */
  readonly #settled = new FreePlaces();

  constructor(table: ObjectTable, puncher: HolePuncher) {
    this.#table = table;
    this.#puncher = puncher;
  }

  /** How many places are freed whose space was not given back yet. */
  get count(): number {
    return this.#table.freed.count + this.#settled.count;
  }

  /** Whether places wait only for a durable barrier. */
  get hasSettled(): boolean {
    return this.#settled.count > 0;
  }

  /** Punches places that no frame ever named. */
  punchAbandoned(): void {
    this.#punch(this.#table.abandoned);
  }

  /** Punches settled places. A barrier after the frames that freed them must be durable. */
  punchSettled(): void {
    this.#punch(this.#settled);
  }

  /** Settles all freed places. The frames that freed them must be durable. */
  settle(): void {
    this.#settled.addAll(this.#table.freed);
  }

  /** Removes the objects that a new journal in place does not name, and punches all that is not in use. */
  releaseAll(): void {
    for (const object of this.#table.objects) {
      if (object.number !== undefined || object.isRemoved) continue;
      invariant(object.live === 0, 'W10', { object: object.name });
      this.#puncher.remove(object.name);
      object.isRemoved = true;
    }
    this.punchSettled();
    this.#punch(this.#table.freed);
    this.punchAbandoned();
  }

  #punch(places: FreePlaces): void {
    const runs = places.drain();
    for (let next = 0; next < runs.length; ) {
      const first = next;
      const index = (runs[first] as ChunkRun).object;
      while (runs[next]?.object === index) next++;
      const object = this.#table.at(index);
      const ofObject = runs.slice(first, next);
      for (const run of ofObject) invariant(object.isFree(run), 'W10', { object: object.name, chunk: run.first });
      if (!object.isRemoved) this.#puncher.punch(object.name, ofObject);
    }
  }
}
