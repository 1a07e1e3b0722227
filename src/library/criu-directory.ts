import { CriuTree } from '../criu/tree/criu-tree.ts';
import { openTreeRoot, type UnlockedTree } from '../criu/tree/unlock-tree.ts';
import { type CriuReport, type CriuVerifyOptions, verifyTree } from '../criu/tree/verify-tree.ts';
import type { Secret } from '../crypto/secret.ts';
import type { CreatedImage } from '../image/create/create.ts';
import type { ExtractOptions } from '../image/extract/extract.ts';
import { extractSource } from '../image/extract/extract-source.ts';
import type { ExtractReport } from '../image/extract/extract-tree.ts';
import { describeContents, type TreeContents } from '../image/read/describe.ts';
import { type CreateFromOptions, createFrom } from './create-from.ts';
import { ReadableImage } from './readable-image.ts';
import { type CriuKeys, unlockCriu } from './unlock-criu.ts';
import { refuseDamage } from './verify-unlocked.ts';

/** What a directory that CRIU encrypted is. Without keys only the first two are known. */
export interface CriuDescription extends TreeContents {
  readonly imageId: string;
  /** The number of directories with a cipher.img of their own. */
  readonly layers: number;
}

/** A directory that CRIU encrypted, or several in a common one, open to be read. */
export class CriuDirectory extends ReadableImage {
  readonly format = 'criu';
  readonly #tree: CriuTree;
  readonly #secrets: Secret;
  readonly #layers: number;

  private constructor(tree: CriuTree, { secrets, layers }: UnlockedTree) {
    super(tree);
    this.#tree = tree;
    this.#secrets = secrets;
    this.#layers = layers;
  }

  /** Opens a directory with whichever private keys fit. @throws as `unlockCriu` */
  static async open(location: string, options: CriuKeys): Promise<CriuDirectory> {
    const root = openTreeRoot(location);
    try {
      const unlocked = await unlockCriu(root, options);
      try {
        return new CriuDirectory(CriuTree.open({ fd: root.fd, path: location }, unlocked.secrets.bytes), unlocked);
      } catch (error) {
        unlocked.secrets.wipe();
        throw error;
      }
    } finally {
      root.close();
    }
  }

  describe(): CriuDescription {
    return { imageId: this.imageId, layers: this.#layers, ...describeContents(this.source.manifest.inodes) };
  }

  /** Files that cannot be read, and why. */
  get problems(): CriuTree['problems'] {
    return this.#tree.problems;
  }

  /** Reads everything, and checks what this format protects. @throws CkptfsError `io`, `interrupted` */
  async verify(options: CriuVerifyOptions = {}): Promise<CriuReport> {
    void this.source;
    return verifyTree(this.#tree, options);
  }

  /** See `EncryptedImage.extract`. */
  async extract(target: string, options: ExtractOptions = {}): Promise<ExtractReport> {
    return extractSource(this.source, target, options);
  }

  /**
   * Encrypts everything into a new image, without plaintext on a disk. Verify it before: damaged pages of memory would
   * look authentic in the new image. Pages that were changed since they were verified are refused.
   * @throws as `createFrom`
   */
  async encrypt(options: CreateFromOptions): Promise<CreatedImage> {
    const { imageId, manifest } = this.source;
    const tree = this.#tree;
    return createFrom(
      { imageId, manifest, openReader: (_cacheSize, counters) => tree.openCheckedReader(counters) },
      options,
    );
  }

  protected closeSource(): void {
    this.#tree.close();
    CriuTree.wipeShared(this.#tree.shared);
    this.#secrets.wipe();
  }
}

/**
 * Opens the secrets of a directory, for a daemon that is to serve it. The caller wipes them.
 * @param options `verify`: everything is read and checked first, and `pages` says what of that could not be
 * @throws as `unlockCriu`; CkptfsError `damaged` when something is and `verify` is demanded
 */
export async function unlockToServe(
  location: string,
  { verify, ...keys }: CriuKeys & { readonly verify: boolean },
): Promise<UnlockedTree & Pick<CriuReport, 'pages'>> {
  const root = openTreeRoot(location);
  let unlocked: UnlockedTree | undefined;
  try {
    unlocked = await unlockCriu(root, keys);
    if (verify) {
      const tree = CriuTree.open({ fd: root.fd, path: location }, unlocked.secrets.bytes);
      try {
        const { damage, pages } = await verifyTree(tree);
        refuseDamage(location, damage);
        return { ...unlocked, pages };
      } finally {
        tree.close();
        CriuTree.wipeShared(tree.shared);
      }
    }
    return { ...unlocked, pages: [] };
  } catch (error) {
    unlocked?.secrets.wipe();
    throw error;
  } finally {
    root.close();
  }
}
