import { MalformedError } from '../base/bytes.ts';
import { pagesId } from './image-kind.ts';
import type { StoredEntry } from './layer-directory.ts';
import { PAGE_SIZE } from './page-reader.ts';
import { readPagemap } from './pagemap.ts';
import type { FileBody, Protection } from './shared-layer.ts';

/** What a file of pages is served as. */
interface Judgement {
  readonly size: number;
  readonly protection: Protection;
  readonly body: FileBody;
}

/**
 * Tells which files of pages are encrypted. Those that went through a page server are not, and neither are their
 * pagemaps; nothing in a file of pages itself tells.
 */
export class PageOwners {
  readonly #ids = { sealed: new Set<number>(), clear: new Set<number>() };
  #hasUnreadable = false;

  /** @param pagemap plain bytes @throws MalformedError */
  add(pagemap: Uint8Array, found: 'sealed' | 'clear'): void {
    const id = readPagemap(pagemap)?.pagesId;
    if (id !== undefined) this.#ids[found].add(id);
  }

  /** Says that there is a pagemap which cannot be read. */
  addUnreadable(): void {
    this.#hasUnreadable = true;
  }

  /**
   * @param digest the page digest: of zeros when no page was encrypted
   * @throws MalformedError when it is not known, or the file does not have whole pages
   */
  judge({ name, size }: StoredEntry, digest: Uint8Array | undefined): Judgement {
    const id = pagesId(name.toString('latin1'));
    const isSealed = id !== undefined && this.#ids.sealed.has(id);
    const isClear = id !== undefined && this.#ids.clear.has(id);
    if (isSealed && isClear) throw new MalformedError('a sealed pagemap and one in clear both name it');
    if (size % PAGE_SIZE !== 0) throw new MalformedError('it ends within a page');
    if (isClear) return { size, protection: 'clear', body: { kind: 'clear' } };
    const hasSealedPages = digest?.some((byte) => byte !== 0) ?? true;
    if (!isSealed && !hasSealedPages && this.#hasUnreadable)
      throw new MalformedError('whether it is encrypted is not known, because a pagemap cannot be read');
    return { size, protection: 'pages', body: { kind: 'pages' } };
  }
}
