import { MalformedError } from '../base/bytes.ts';
import { CkptfsError } from '../base/errors.ts';
import { Region } from '../base/linux/native.ts';
import { wipe } from '../base/wipe.ts';
import type { PageDigest } from './page-digest.ts';
import type { Protection } from './shared-layer.ts';

/** What was found when a directory was checked. */
export interface LayerReport {
  readonly faults: readonly { readonly name: Buffer; readonly reason: string }[];
  readonly files: number;
  /** Plain bytes that were read. */
  readonly bytes: number;
  readonly pageDigest: PageDigest;
  /** Names of files that nothing protects. */
  readonly unprotected: readonly Buffer[];
}

/** The parts of a layer that are checked. */
interface Verifiable {
  readonly files: readonly {
    readonly name: Buffer;
    readonly size: number;
    readonly protection: Protection;
    readonly problem?: string | undefined;
  }[];
  read(file: number, offset: number, length: number, out: Region, outOffset: number): number;
  checkPages(): Generator<{ readonly bytesDone: number }, PageDigest>;
}

/** Bytes that are read at once. */
const RUN_SIZE = 1 << 20;

/**
 * Reads every file but those of pages, of which it checks the digest. Yields the bytes that are done.
 * @throws CkptfsError `io`
 */
export function* verifyLayer(layer: Verifiable): Generator<{ readonly bytesDone: number }, LayerReport> {
  const faults: { name: Buffer; reason: string }[] = [];
  const out = new Region(RUN_SIZE);
  let bytes = 0;
  try {
    for (const [file, { name, size, protection, problem }] of layer.files.entries()) {
      if (problem !== undefined) faults.push({ name, reason: problem });
      if (problem !== undefined || protection === 'pages') continue;
      try {
        for (let offset = 0; offset < size; offset += RUN_SIZE) {
          bytes += layer.read(file, offset, RUN_SIZE, out, 0);
          yield { bytesDone: bytes };
        }
      } catch (error) {
        faults.push({ name, reason: reasonOf(error) });
      }
    }
    const { digest, done } = yield* pagesOf(layer, bytes, faults);
    const unprotected = layer.files.filter(({ protection }) => protection === 'clear').map(({ name }) => name);
    return { faults, files: layer.files.length, bytes: bytes + done, pageDigest: digest, unprotected };
  } finally {
    wipe(out.bytes);
  }
}

function* pagesOf(
  layer: Verifiable,
  before: number,
  faults: { name: Buffer; reason: string }[],
): Generator<{ readonly bytesDone: number }, { readonly digest: PageDigest; readonly done: number }> {
  const pages = layer.checkPages();
  let done = 0;
  try {
    for (let step = pages.next(); ; step = pages.next()) {
      if (step.done === true) return { digest: step.value, done };
      done = step.value.bytesDone;
      yield { bytesDone: before + done };
    }
  } catch (error) {
    const reason = reasonOf(error);
    const path = error instanceof CkptfsError ? error.path : undefined;
    const name = Buffer.from(path?.slice(path.lastIndexOf('/') + 1) ?? 'cipher.img');
    if (!faults.some((fault) => fault.name.equals(name))) faults.push({ name, reason });
    return { digest: { outcome: 'unknown', pages: 0, why: reason }, done };
  }
}

/** @throws anything but damage */
function reasonOf(error: unknown): string {
  if (!(error instanceof CkptfsError) || error.code !== 'damaged') throw error;
  return error.cause instanceof MalformedError ? error.cause.message : error.message;
}
