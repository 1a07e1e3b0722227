import { CkptfsError, fromPlainError, type PlainError } from '../../base/errors.ts';
import type { WorkerMessage } from '../worker/worker-messages.ts';

/** Follows what becomes of an image that a thread writes on, by what that thread tells. */
export class SealWatch {
  /** Settles when the image is being sealed: nothing is served any more. Never where nothing is written on. */
  readonly begun: Promise<void>;
  readonly #location: () => string;
  #state: 'not written on' | 'unsealed' | 'being sealed' | 'sealed' = 'not written on';
  #failure: PlainError | undefined;
  #onBegun: () => void = () => undefined;

  /** @param location the path of the image as it is now */
  constructor(location: () => string) {
    this.#location = location;
    this.begun = new Promise((resolve) => {
      this.#onBegun = resolve;
    });
  }

  /** Whether it is being sealed now. */
  get isUnderWay(): boolean {
    return this.#state === 'being sealed';
  }

  /** The image was opened to be written on: it has to be sealed. */
  opened(): void {
    this.#state = 'unsealed';
  }

  hear(message: WorkerMessage): void {
    if (message.kind === 'sealing') {
      this.#state = 'being sealed';
      this.#onBegun();
    } else if (message.kind === 'sealed') this.#state = 'sealed';
    else if (message.kind === 'unsealed') {
      this.#state = 'unsealed';
      this.#failure = message.error;
    }
  }

  /** When the thread has ended: why the image is not sealed, or undefined when nothing is left to be done. */
  outcome(): CkptfsError | undefined {
    if (this.#failure !== undefined) return fromPlainError(this.#failure);
    if (this.#state === 'sealed' || this.#state === 'not written on') return undefined;
    const path = this.#location();
    return new CkptfsError('internal', `${path} is left unsealed: the thread that wrote it failed`, {
      path,
      aftermath: { state: 'unsealed', image: path },
    });
  }
}
