import { ByteReader, MalformedError } from '../base/bytes.ts';
import { Region } from '../base/linux/native.ts';
import { magicSize } from './image-magic.ts';
import { Message } from './message.ts';

/** Goes through the messages of a plain image of entries. @throws MalformedError */
export function* plainEntries(image: Uint8Array): Generator<Uint8Array> {
  if (image.length === 0) return;
  const reader = new ByteReader(image);
  reader.take(magicSize(new Region(image)));
  while (reader.remaining > 0) yield reader.take(reader.u32());
}

/** Tells whether an image is one of entries in clear: all of it, from its magic to its end, and at least one entry. */
export function isPlainImage(image: Uint8Array): boolean {
  try {
    let count = 0;
    for (const message of plainEntries(image)) {
      new Message(message);
      count++;
    }
    return count > 0;
  } catch (error) {
    if (error instanceof MalformedError) return false;
    throw error;
  }
}
