import { CkptfsError, fromPlainError, type PlainError } from '../../base/errors.ts';
import { settleable } from '../../base/settleable.ts';
import type { SealMessage } from '../thread/thread-messages.ts';

/** Follows, by the messages of the thread that writes an image, whether the image gets sealed. */
export class SealWatch {
  readonly #location: () => string;
  #state: 'not written on' | 'unsealed' | 'being sealed' | 'sealed' = 'not written on';
  #failure: PlainError | undefined;
  readonly #begun = settleable<void>();

  /** @param location returns the current path of the image */
  constructor(location: () => string) {
    this.#location = location;
  }

  /** Settles when the thread begins to seal: no request is served any more. Never settles for a read-only image. */
  get begun(): Promise<void> {
    return this.#begun.promise;
  }

  get isSealing(): boolean {
    return this.#state === 'being sealed';
  }

  /** Must be called when the image was opened to be written: from then on it has to be sealed. */
  onOpened(): void {
    this.#state = 'unsealed';
  }

  onMessage(message: SealMessage): void {
    switch (message.kind) {
      case 'sealing':
        this.#state = 'being sealed';
        this.#begun.resolve();
        return;
      case 'sealed':
        this.#state = 'sealed';
        return;
      case 'unsealed':
        this.#state = 'unsealed';
        this.#failure = message.error;
    }
  }

  /** Returns, once the thread has ended, why the image is not sealed; undefined when nothing is left to be done. */
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
