import type { KeyCheck } from './terms.ts';

/** The descriptor by which the program key-check gets the directory of the image. */
export const IMAGE_FD = 3;

/** What the program key-check is asked, as a line of JSON on its standard input. Has no secret. */
export interface CheckRequest {
  readonly check: KeyCheck;
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  /** Whether it is a directory that CRIU encrypted. */
  readonly isCriu: boolean;
  /** What tells the image key that is used from others, see `keyMark`; undefined for what CRIU encrypted. */
  readonly mark?: string | undefined;
  /** Names the image in messages. */
  readonly path: string;
  /** What messages call it, whatever its path is. */
  readonly name?: string | undefined;
  /** How long the key is shared if it may be used. */
  readonly seconds: number;
  /** An answer to a later question counts, in seconds since the host was started. */
  readonly after: number;
}
