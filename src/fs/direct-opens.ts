import { threadName } from '../base/linux/thread-name.ts';

export const pageFileChoices = ['auto', 'direct', 'cached'] as const;

/**
 * Whose reads of large files pass the kernel's page cache by: those of every program, of none, or with `auto` those of
 * CRIU, which reads each page image from its beginning to its end into memory that was never touched. Others read in
 * small steps, or again, or map a file; they are faster through the cache.
 */
export type PageFiles = (typeof pageFileChoices)[number];

/** How the names of all threads of CRIU begin, until the restored process takes its own. */
const CRIU = 'criu';

/**
 * Returns whether a thread is to read a large file past the page cache. The name of a thread is a hint that anyone can
 * give, and costs speed when it is wrong, never bytes.
 */
export function readsDirect(pageFiles: PageFiles, thread: number): boolean {
  if (pageFiles !== 'auto') return pageFiles === 'direct';
  return threadName(thread)?.startsWith(CRIU) ?? false;
}

/** What CRIU calls the images of memory: `pages-1.img`. The others are small. */
const PAGE_IMAGE = /^pages-.*\.img$/;

/**
 * Returns whether a thread that has made a file is to write it past the page cache: CRIU splices the pages of the
 * dumped process into its page images, a mebibyte at a time, and they need not be copied for the cache first.
 */
export function writesDirect(pageFiles: PageFiles, name: Uint8Array, thread: number): boolean {
  if (pageFiles !== 'auto') return pageFiles === 'direct';
  return PAGE_IMAGE.test(Buffer.from(name).toString('latin1')) && readsDirect(pageFiles, thread);
}
