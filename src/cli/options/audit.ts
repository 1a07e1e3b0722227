import { absolutePath } from '../../base/current-directory.ts';
import { CkptfsError } from '../../base/errors.ts';
import { type AuditEvent, AuditLog, SYSLOG } from '../../base/linux/audit-log.ts';
import type { Opening } from '../../library/unlock.ts';
import { isRemoteAddress } from '../../remote/shared/remote-address.ts';
import { packageVersion } from '../version.ts';

const VARIABLE = 'CKPTFS_AUDIT_LOG';

/** Returns where the audit log is: an absolute path or `syslog`; undefined where there is none. */
export function auditTarget({ auditLog }: { readonly auditLog?: string | undefined }): string | undefined {
  const target = auditLog ?? process.env[VARIABLE];
  if (target === undefined || target === '') return undefined;
  return target === SYSLOG ? target : absolutePath(target);
}

/** Opens the audit log for the openings of a command. @throws CkptfsError `io` */
export function openAudit(target: string): {
  readonly onOpening: (opening: Opening) => void;
  readonly close: () => void;
} {
  const log = AuditLog.open(target, packageVersion());
  return {
    onOpening: ({ location, imageId, slot, source, isShared, error }) =>
      log.write({
        event: error === undefined ? 'open' : 'refused',
        image: isRemoteAddress(location) ? location : absolutePath(location),
        imageId,
        slot: slot === undefined ? undefined : slot + 1,
        source,
        shared: isShared,
        result: error?.code ?? 'ok',
      }),
    close: () => log.close(),
  };
}

/** Keeps lines about an image whose keys are destroyed, where there is an audit log. */
export class ShredAudit {
  readonly #log: AuditLog | undefined;
  readonly #image: Pick<AuditEvent, 'image' | 'imageId'>;

  /** @throws CkptfsError `io` */
  constructor(args: { readonly auditLog?: string | undefined }, location: string, imageId: string) {
    const target = auditTarget(args);
    this.#log = target === undefined ? undefined : AuditLog.open(target, packageVersion());
    this.#image = { image: absolutePath(location), imageId };
  }

  /** @throws CkptfsError `io` */
  readonly onDestroyed = (source: string): void =>
    this.#log?.write({ event: 'destroy', ...this.#image, source, result: 'ok' });

  /** @param error why it was not done, if it was not. @throws CkptfsError `io` */
  end(error?: unknown): void {
    const result = error === undefined ? 'ok' : error instanceof CkptfsError ? error.code : 'internal';
    this.#log?.write({ event: 'shred', ...this.#image, result });
  }

  close(): void {
    this.#log?.close();
  }
}

/**
 * Returns what keeps a line about an image that is refused before a key is used for it; undefined where there is no
 * audit log. @throws CkptfsError `io` when it is called
 */
export function auditOfRefusals(args: {
  readonly auditLog?: string | undefined;
}): ((opening: Opening) => void) | undefined {
  const target = auditTarget(args);
  if (target === undefined) return undefined;
  return (opening) => {
    const log = openAudit(target);
    try {
      log.onOpening(opening);
    } finally {
      log.close();
    }
  };
}
