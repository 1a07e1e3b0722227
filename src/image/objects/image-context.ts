import type { ChunkCipher } from '../../crypto/chunk-cipher.ts';
import { createChunkCipher } from '../../crypto/chunk-ciphers.ts';
import type { Secret } from '../../crypto/secret.ts';
import { primitives } from '../../crypto/select.ts';
import { Geometry } from '../../format/geometry.ts';
import type { Header } from '../../format/header.ts';
import type { Store } from '../../stores/store.ts';

/** What every object of an image is sealed and opened with. */
export interface ObjectContext {
  readonly header: Pick<Header, 'cipher' | 'chunkSize'> & { readonly imageId: Uint8Array };
  /** The caller wipes it. */
  readonly imageKey: Secret;
  readonly geometry: Geometry;
}

/** An image, whatever its state: where it is stored, and what its objects are sealed and opened with. */
export interface ImageContext<S extends Store = Store> extends ObjectContext {
  readonly store: S;
  readonly header: Header;
}

/** Returns the places of everything in the objects of an image. */
export function geometryOf({
  chunkSize,
  suite,
  compression,
}: Pick<Header, 'chunkSize' | 'suite' | 'compression'>): Geometry {
  return new Geometry(chunkSize, suite, compression);
}

/** Puts together what belongs to one image. */
export function imageContext<S extends Store>(store: S, header: Header, imageKey: Secret): ImageContext<S> {
  return { store, header, imageKey, geometry: geometryOf(header) };
}

/** Makes the cipher for the chunks of an object. The caller disposes of it. */
export function objectCipher({ header, imageKey, geometry }: ObjectContext, id: Uint8Array): ChunkCipher {
  return createChunkCipher(primitives(), header.cipher, imageKey, header.imageId, id, geometry);
}
