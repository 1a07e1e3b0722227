// Replaces the package string-width in the bundled command, where yargs lays out help with it. Our help is plain ASCII;
// what the package makes ready for emoji and other wide characters takes about 10 ms at each start.
import { stripVTControlCharacters } from 'node:util';

/** Columns that a text of ASCII and colours takes. */
export default function plainWidth(text) {
  return stripVTControlCharacters(text).length;
}
