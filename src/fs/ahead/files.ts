import { FILE_NUMBERS, FILE_WORDS, FILES } from './layout.ts';

/** The table of files that are open for direct reads. Only who holds the lock may call anything here. */
export class Files {
  readonly #words: Int32Array;
  readonly #numbers: Float64Array;

  constructor(words: Int32Array, numbers: Float64Array) {
    this.#words = words;
    this.#numbers = numbers;
  }

  /** Notes one more open of a file. Returns its row; -1 when there is no room. */
  open(node: number, size: number): number {
    let free = -1;
    for (let file = 0; file < FILES; file++) {
      if (!this.isOpen(file)) free = file;
      else if (this.node(file) === node) return this.#addOpens(file, 1);
    }
    if (free < 0) return -1;
    const at = FILE_NUMBERS.at + free * FILE_NUMBERS.width;
    this.#numbers[at + FILE_NUMBERS.node] = node;
    this.#numbers[at + FILE_NUMBERS.size] = size;
    this.setEnd(free, -1);
    return this.#addOpens(free, 1);
  }

  /** Notes one open less. Returns whether it was the last. */
  close(file: number): boolean {
    if (!this.isOpen(file)) return false;
    this.#addOpens(file, -1);
    return !this.isOpen(file);
  }

  isOpen(file: number): boolean {
    return (this.#words[FILE_WORDS.at + file * FILE_WORDS.width + FILE_WORDS.opens] ?? 0) > 0;
  }

  node(file: number): number {
    return this.#number(file, FILE_NUMBERS.node);
  }

  /** Bytes. */
  size(file: number): number {
    return this.#number(file, FILE_NUMBERS.size);
  }

  /** Where the last read of the file that continued no stream ended. */
  end(file: number): number {
    return this.#number(file, FILE_NUMBERS.end);
  }

  setEnd(file: number, end: number): void {
    this.#numbers[FILE_NUMBERS.at + file * FILE_NUMBERS.width + FILE_NUMBERS.end] = end;
  }

  #addOpens(file: number, change: number): number {
    const at = FILE_WORDS.at + file * FILE_WORDS.width + FILE_WORDS.opens;
    this.#words[at] = (this.#words[at] ?? 0) + change;
    return file;
  }

  #number(file: number, field: number): number {
    return this.#numbers[FILE_NUMBERS.at + file * FILE_NUMBERS.width + field] ?? 0;
  }
}
