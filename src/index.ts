/// <reference types="node" preserve="true" />
/**
 * ckptfs as a library: what its own commands use, described in docs/library.md. Nothing here prints or exits; every
 * failure is a {@link CkptfsError} whose `code` is stable (docs/cli.md lists them with their exit numbers).
 *
 * ```ts
 * import { EncryptedImage, readKeyFile, symmetricKeyProvider } from 'ckptfs';
 *
 * const { key } = readKeyFile('checkpoint.key');
 * const image = await EncryptedImage.open('./enc', { keys: [symmetricKeyProvider(key)] });
 * const bytes = Buffer.alloc(4096);
 * const count = image.readAt('pages-1.img', 0, bytes);
 * image.close();
 * key.wipe();
 * ```
 */
export type { Aftermath, ErrorData } from './base/error-data.ts';
export { CkptfsError, type ErrorCode, type ErrorDetails, errorCodes } from './base/errors.ts';
export type { Compression, Effort } from './compression/chunk-compressor.ts';
export type { PublicJwk } from './crypto/public-key.ts';
export { Secret } from './crypto/secret.ts';
export type { PossibleSigner, Signer, SignerTrust } from './crypto/signer.ts';
export { type CipherName, cipherNames, DEFAULT_CIPHER } from './format/ciphers.ts';
export { type CompressionName, compressionNames } from './format/compressions.ts';
export type { Slot, SlotJwe } from './format/slot.ts';
export type { SlotDescription, SlotKind } from './format/slot-description.ts';
export { DEFAULT_SUITE, type SuiteName, suiteNames } from './format/suites.ts';
export { type CreatedImage, type CreateOptions, createImage } from './image/create/create.ts';
export type { MakeSlots } from './image/create/new-header.ts';
export { discardImage, type MadeImage } from './image/discard-image.ts';
export type { ExtractOptions } from './image/extract/extract.ts';
export type { ExtractReport } from './image/extract/extract-tree.ts';
export type { Loss, LossExample, LossKind } from './image/outside/losses.ts';
export type { DescribedSignature, ImageInside, ImageOutside, TreeContents } from './image/read/describe.ts';
export type { AcceptedSignature } from './image/signatures/check.ts';
export type { Damage, VerifyOptions, VerifyReport } from './image/verify/verify.ts';
export type { Progress } from './image/workers/worker-pool.ts';
export type { EphemeralImage } from './image/writable/open-ephemeral.ts';
export { createDefaultKey, defaultKeyPath } from './keys/default-key.ts';
export { keyDirectory } from './keys/identities/key-directory.ts';
export { type PassphraseReader, PrivateKeyFile } from './keys/identities/private-key-file.ts';
export { type KeyFile, type KeyFileWarning, readKeyFile } from './keys/key-file.ts';
export { createKeyFile, type KeyBits } from './keys/keygen.ts';
export type { Identity, KeyProvider, OpenedSlot, Recipient } from './keys/provider.ts';
export { type FileRecipient, readRecipientFile } from './keys/recipients/pem.ts';
export type { PublicKeyRecipient } from './keys/recipients/public-key-recipient.ts';
export { readRecipients } from './keys/recipients/read-recipients.ts';
export { embedCertificates, SignerFile, type SignerPassphrase } from './keys/signers/signer-file.ts';
export { readTrustedSigners, type SignerChecks } from './keys/signers/trusted-signers.ts';
export { unwrapFromSlot, wrapIntoSlot } from './keys/slots/aes-key-wrap.ts';
export type { RecipientJwk } from './keys/slots/public-key.ts';
export { symmetricKeyProvider } from './keys/symmetric-key.ts';
export {
  type ArchiveProgress,
  type ArchiveSource,
  type CreateFromArchiveOptions,
  createFromArchive,
} from './library/create-from-archive.ts';
export { EncryptedImage, inspectImage, type ReadOptions } from './library/encrypted-image.ts';
export {
  type FileContents,
  ImageWriter,
  type ImageWriterOptions,
  type WrittenFileOptions,
} from './library/image-writer.ts';
export { dropImageKey, keepImageKey } from './library/kept-key.ts';
export {
  addKeySlots,
  type KeySlots,
  type ListedSlot,
  labelKeySlot,
  listKeySlots,
  removeKeySlot,
  replaceKeySlot,
  slotsFor,
} from './library/key-slots.ts';
export { createEphemeral, type NewEphemeral } from './library/new-ephemeral.ts';
export { createEmptyImage, type NewImage, type NewImageOptions, rootLike } from './library/new-image.ts';
export type { FileStatus, ImagePath, ListedFile, ReadableImage } from './library/readable-image.ts';
export { type ReencryptedImage, type ReencryptOptions, reencryptImage } from './library/reencrypt.ts';
export {
  listRemote,
  type PullImageOptions,
  type PushImageOptions,
  pullFromRemote,
  pushToRemote,
  removeFromRemote,
  writeProfileToRemote,
} from './library/remote-images.ts';
export { checkSignature, type SignatureDemand, type SignedImage, signImage } from './library/signatures.ts';
export {
  type FindIdentities,
  type ImageToOpen,
  type Opening,
  type OpenOptions,
  type UnlockOptions,
  unlockImage,
} from './library/unlock.ts';
export {
  type RecoveredImage,
  recoverImage,
  type SealedImage,
  type SealOptions,
  sealImage,
} from './library/unsealed-image.ts';
export type { WriteArchiveOptions, WrittenArchive } from './library/write-archive.ts';
export type { FetcherOrder, FetcherReady, Prefetch } from './remote/lazy/fetcher-order.ts';
export type { RemoteOptions } from './remote/open-remote.ts';
export type { TransferProgress, Transferred } from './remote/push.ts';
export type { ListedRemoteImage } from './remote/shared/remote-store.ts';
export type { DaemonStatus } from './serve/control/control-messages.ts';
export { listMounts, type MountState, type MountStatus } from './serve/control/status.ts';
export { type UnmountOptions, type UnmountResult, unmountImage } from './serve/control/umount.ts';
export type { RemoteConfig, Transport } from './serve/handover/daemon-config.ts';
export type { MountOptions } from './serve/launch/checked-options.ts';
export { type ExecOptions, type ExecResult, execWithMount } from './serve/launch/exec.ts';
export { withFetcher } from './serve/launch/fetcher-process.ts';
export { type BackgroundMountOptions, type MountHandle, mountImage } from './serve/launch/mount.ts';
export { findWriter, remountSealed } from './serve/launch/remount.ts';
