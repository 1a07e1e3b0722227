import { invariant } from '../../../base/assert.ts';
import type { Geometry } from '../../../format/geometry.ts';
import { type ChunkRun, FreePlaces } from '../model/free-places.ts';
import type { LiveObject, ObjectTable } from '../model/object-table.ts';
import type { HolePuncher } from '../objects/hole-puncher.ts';

/** Gives the space of freed and abandoned places back, once no state that may come back needs them (W10). */
export class FreedSpace {
  readonly #table: ObjectTable;
  readonly #puncher: HolePuncher;
  /** Places freed by frames that are durable. They are punched when a barrier after these frames is durable. */
  readonly #settled = new FreePlaces();
  readonly #geometry: Geometry;

  constructor(table: ObjectTable, puncher: HolePuncher, geometry: Geometry) {
    this.#table = table;
    this.#puncher = puncher;
    this.#geometry = geometry;
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
      object.setRemoved();
    }
    this.punchSettled();
    this.#punch(this.#table.freed);
    this.punchAbandoned();
  }

  #punch(places: FreePlaces): void {
    const runs = places.drain();
    const waiting = this.#waitingGroups();
    for (let next = 0; next < runs.length; ) {
      const first = next;
      const index = (runs[first] as ChunkRun).object;
      while (runs[next]?.object === index) next++;
      const object = this.#table.at(index);
      const ofObject = runs.slice(first, next);
      for (const run of ofObject) invariant(object.isFree(run), 'W10', { object: object.name, chunk: run.first });
      if (object.isRemoved) continue;
      this.#puncher.punch(object.name, [...ofObject, ...this.#deadGroups(index, object, ofObject, waiting)]);
    }
  }

  /** Names the groups that have a place which must not be punched yet: an older state needs their tag pages. */
  #waitingGroups(): Set<string> {
    const names = new Set<string>();
    for (const places of [this.#table.freed, this.#settled, this.#table.abandoned]) {
      for (const run of places.runs) for (const group of this.#groupsOf(run)) names.add(nameOf(run.object, group));
    }
    return names;
  }

  /** Returns the whole groups that some runs are in and that no state needs any more, each as a run. */
  #deadGroups(index: number, object: LiveObject, runs: readonly ChunkRun[], waiting: Set<string>): ChunkRun[] {
    const { chunksPerGroup: count } = this.#geometry;
    const groups = new Set(runs.flatMap((run) => [...this.#groupsOf(run)]));
    return [...groups]
      .filter((group) => !waiting.has(nameOf(index, group)))
      .map((group) => ({ object: index, first: group * count, count }))
      .filter((run) => run.first + count <= object.chunks && object.isFree(run));
  }

  *#groupsOf({ first, count }: ChunkRun): Generator<number> {
    const last = this.#geometry.groupOf(first + count - 1);
    for (let group = this.#geometry.groupOf(first); group <= last; group++) yield group;
  }
}

function nameOf(object: number, group: number): string {
  return `${object}:${group}`;
}
