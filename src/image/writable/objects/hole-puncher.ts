import { isFailure } from '../../../base/assert.ts';
import type { WritableStore } from '../../../stores/writable-store.ts';
import type { ImageContext } from '../../objects/image-context.ts';

/** Is called with one line for each thing that could not be done and does no harm. */
export type WarningListener = (line: string) => void;

/**
 * Gives the space of dead chunks and objects back to the store. Where that is not possible it warns, since it only
 * saves space.
 */
export class HolePuncher {
  readonly #image: ImageContext<WritableStore>;
  readonly #onWarning: WarningListener;
  #isPossible = true;

  constructor(image: ImageContext<WritableStore>, onWarning: WarningListener) {
    this.#image = image;
    this.#onWarning = onWarning;
  }

  /**
   * Punches chunks of an object, and the tag pages of groups of which one run has every chunk.
   * @param id of the object, 32 hexadecimal digits
   * @param runs of its chunks
   */
  punch(id: string, runs: readonly { readonly first: number; readonly count: number }[]): void {
    if (!this.#isPossible || runs.length === 0) return;
    this.#attempt(() => {
      const file = this.#image.store.openObjectForWriting(id);
      try {
        for (const [position, length] of this.#spans(runs)) this.#isPossible &&= file.punch(position, length);
      } finally {
        file.close();
      }
    });
  }

  /** Warns of something that could not be done and does no harm. */
  warn(line: string): void {
    this.#onWarning(line);
  }

  /** Removes a dead object. */
  remove(id: string): void {
    this.#attempt(() => this.#image.store.removeObject(id));
  }

  #attempt(action: () => void): void {
    try {
      action();
    } catch (error) {
      if (!isFailure(error)) throw error;
      this.#onWarning(`space was not given back: ${error.message}`);
    }
  }

  /**
   * Yields the ranges of the object's file that runs of chunks are in. A run is cut where a group begins, the tag page
   * of which comes with the chunks only if it is the whole group.
   */
  *#spans(
    runs: readonly { readonly first: number; readonly count: number }[],
  ): Generator<readonly [position: number, length: number]> {
    const { geometry } = this.#image;
    const { chunksPerGroup } = geometry;
    for (const { first, count } of runs) {
      for (let done = 0; done < count; ) {
        const chunk = first + done;
        const part = Math.min(count - done, chunksPerGroup - (chunk % chunksPerGroup));
        if (part === chunksPerGroup) yield [geometry.tagPageOffset(geometry.groupOf(chunk)), geometry.groupStride];
        else yield [geometry.chunkOffset(chunk), part * geometry.chunkSize];
        done += part;
      }
    }
  }
}
