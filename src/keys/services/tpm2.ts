import { createHash } from 'node:crypto';
import { MalformedError } from '../../base/bytes.ts';
import { Deadline } from '../../base/deadline.ts';
import { CkptfsError } from '../../base/errors.ts';
import { printable } from '../../base/printable.ts';
import { wipe } from '../../base/wipe.ts';
import { Secret } from '../../crypto/secret.ts';
import { readSecretFile } from '../key-file.ts';
import { interruptible } from '../sources/interruptible.ts';
import { parsePassphrase } from '../sources/passphrase-text.ts';
import type { SourceOptions } from '../sources/source.ts';
import { checkedSeconds } from '../sources/time-limit.ts';
import { withinTime } from '../sources/within-time.ts';
import { meaningOf, TpmRefusal } from '../tpm2/response-codes.ts';
import { encodeSealed, type PcrSelection, parsePcrs, parseSealed, pcrsText } from '../tpm2/sealed-content.ts';
import { demandsOf, type StorageKey, Tpm } from '../tpm2/tpm.ts';
import { connectTpm, DEFAULT_TCTI, parseTcti, TCTI_VARIABLE, type TpmPlace } from '../tpm2/transport.ts';
import {
  type KeyService,
  type OpenService,
  type ServiceProvider,
  serviceProvider,
  type UnwrappedContent,
} from './service.ts';

/** For how long after an interruption the TPM is still asked, so that what it has loaded is flushed. */
const GRACE_MILLISECONDS = 2000;

/** What comes after `tpm2:`. */
interface TpmText {
  readonly tcti?: string | undefined;
  readonly pcrs?: PcrSelection | undefined;
  readonly authFile?: string | undefined;
}

/** `tpm2:[tcti=TCTI;][pcrs=BANK:N,N;][auth-file=FILE]`: the TPM of this machine. */
export const openService: OpenService = (rest, options) => {
  const text = parseText(rest);
  const tcti = text.tcti ?? (process.env[TCTI_VARIABLE] || DEFAULT_TCTI);
  const place = parseTcti(tcti);
  if (place === undefined)
    throw badArgument(
      `${printable(tcti, 200)} names no TPM; known are device:PATH, swtpm:path=PATH and swtpm:host=HOST,port=PORT`,
    );
  const seconds = checkedSeconds(options.timeoutSeconds);
  const service = new TpmService(text, place, tcti, seconds, options);
  return withRefusals(serviceProvider(service, 'tpm2', seconds), service);
};

/** Says why an image that has slots of TPMs is opened by none of them. */
function withRefusals(provider: ServiceProvider, service: TpmService): ServiceProvider {
  return {
    ...provider,
    unwrap: async (slots, imageId) => {
      service.forgetSeen();
      return (await provider.unwrap(slots, imageId)) ?? service.refuseUnopened();
    },
  };
}

class TpmService implements KeyService {
  readonly name = 'tpm2';
  readonly source: string;
  readonly place: string;
  readonly #text: TpmText;
  readonly #tpm: TpmPlace;
  readonly #options: SourceOptions;
  readonly #seconds: number;
  /** What slots call the storage key of this TPM, once that is known. */
  #keyId: string | undefined;
  #sawOwn = false;
  #sawForeign = false;
  #lackedAuth = false;

  constructor(text: TpmText, tpm: TpmPlace, tcti: string, seconds: number, options: SourceOptions) {
    this.source = `tpm2:${tcti === DEFAULT_TCTI ? '' : printable(tcti, 200)}`;
    this.place = text.pcrs === undefined ? 'tpm2:' : `tpm2:pcrs=${pcrsText(text.pcrs)}`;
    this.#text = text;
    this.#tpm = tpm;
    this.#options = options;
    this.#seconds = seconds;
  }

  async keyForMaking(): Promise<string> {
    return this.#use(async (tpm, parent) => {
      const { pcrs } = this.#text;
      if (pcrs !== undefined && !(await tpm.hasRegisters(pcrs)))
        throw this.#unavailable('absent', `the TPM does not have the registers ${pcrsText(pcrs)}`);
      return keyIdOf(parent);
    });
  }

  /** The first slot is tried also while it is not known what this TPM calls its key: asking takes as long. */
  mayOpen(keyId: string): boolean {
    if (this.#keyId === undefined || keyId === this.#keyId) return true;
    this.#sawForeign = true;
    return false;
  }

  async wrap(contentKey: Secret): Promise<Uint8Array> {
    const authValue = this.#readAuthValue();
    try {
      return await this.#use(async (tpm, parent) => {
        const { pcrs } = this.#text;
        const sealed = await tpm.seal(parent, contentKey.bytes, authValue?.bytes, pcrs);
        return encodeSealed({ pcrs, ...sealed });
      });
    } finally {
      authValue?.wipe();
    }
  }

  async unwrap(
    wrapped: Buffer,
    keyId: string,
    _context: Buffer,
    deadline: Deadline,
  ): Promise<UnwrappedContent | undefined> {
    return this.#use(async (tpm, parent) => {
      if (keyIdOf(parent) !== keyId) {
        this.#sawForeign = true;
        return undefined;
      }
      this.#sawOwn = true;
      const sealed = readSealed(wrapped);
      if (sealed === undefined) return undefined;
      const object = await tpm.load(parent, sealed);
      if (object === undefined) return undefined;
      const { publicPart, pcrs, needsAuth } = sealed;
      if (needsAuth && this.#text.authFile === undefined) {
        this.#lackedAuth = true;
        return undefined;
      }
      const authValue = needsAuth ? this.#readAuthValue() : undefined;
      try {
        return { contentKey: await tpm.unseal(parent, object, publicPart, authValue?.bytes, pcrs) };
      } finally {
        authValue?.wipe();
      }
    }, deadline);
  }

  forgetSeen(): void {
    this.#sawOwn = false;
    this.#sawForeign = false;
    this.#lackedAuth = false;
  }

  /** @throws CkptfsError `key-unavailable` when a slot needed what was not named, or all of TPMs were for others */
  refuseUnopened(): undefined {
    if (this.#lackedAuth)
      throw this.#unavailable('wrong-pin', 'it needs an authorization value: name its file with auth-file=');
    if (this.#sawOwn || !this.#sawForeign) return undefined;
    throw this.#unavailable('absent', "this image was sealed to another machine's TPM, or this TPM was cleared");
  }

  close(): void {
    // Each use of the TPM ends with what it has loaded.
  }

  /** Connects, makes the storage key, and leaves nothing in the TPM, also when it is interrupted. */
  #use<T>(
    work: (tpm: Tpm, parent: StorageKey) => Promise<T>,
    deadline = Deadline.after(this.#seconds * 1000),
  ): Promise<T> {
    const inTime = async (signal: AbortSignal): Promise<T> => {
      const transport = await connectTpm(this.source, this.#tpm, signal);
      const tpm = new Tpm(transport, signal);
      try {
        const parent = await tpm.storageKey();
        this.#keyId = keyIdOf(parent);
        return await work(tpm, parent);
      } catch (error) {
        throw this.#explained(error);
      } finally {
        await tpm.end();
      }
    };
    return interruptible((interrupted) => withinTime(deadline.left, interrupted, inTime, GRACE_MILLISECONDS));
  }

  /** Reads the authorization value: the SHA-256 of a line, which a TPM keeps without zeros at its end. */
  #readAuthValue(): Secret | undefined {
    const path = this.#text.authFile;
    if (path === undefined) return undefined;
    const source = `authorization file ${path}`;
    const { value, warning } = readSecretFile('authorization file', path, (text) =>
      parsePassphrase(text, source, path),
    );
    if (warning !== undefined) this.#options.warn?.(warning);
    const digest = createHash('sha256').update(value.bytes).digest();
    value.wipe();
    try {
      return Secret.copy(digest.subarray(0, Math.max(1, digest.findLastIndex((byte) => byte !== 0) + 1)));
    } finally {
      wipe(digest);
    }
  }

  #explained(error: unknown): unknown {
    if (error instanceof MalformedError)
      return this.#unavailable('garbage', `the TPM answers what is of no use: ${error.message}`);
    if (!(error instanceof TpmRefusal)) return error;
    const { reason, problem } = meaningOf(error);
    return this.#unavailable(reason, problem, error);
  }

  #unavailable(reason: Reason, problem: string, cause?: unknown): CkptfsError {
    return new CkptfsError('key-unavailable', `${this.source}: ${problem}`, { data: { reason }, cause });
  }
}

type Reason = 'absent' | 'denied' | 'garbage' | 'pin-locked' | 'refused' | 'wrong-pin';

function keyIdOf({ name }: StorageKey): string {
  return name.toString('hex');
}

/** @throws CkptfsError `bad-argument` */
function parseText(rest: string): TpmText {
  const fields = new Map<string, string>();
  for (const field of rest.split(';').filter((one) => one !== '')) {
    const [, name = '', value = ''] = /^(tcti|pcrs|auth-file)=(.+)$/s.exec(field) ?? [];
    if (name === '' || fields.has(name))
      throw badArgument('what follows is tcti=TCTI, pcrs=BANK:N,N and auth-file=FILE, each once, with ; between them');
    fields.set(name, value);
  }
  const list = fields.get('pcrs');
  const pcrs = list === undefined ? undefined : parsePcrs(list);
  if (list !== undefined && pcrs === undefined) throw badArgument('pcrs= is written BANK:N,N, such as sha256:0,7');
  return { tcti: fields.get('tcti'), pcrs, authFile: fields.get('auth-file') };
}

function badArgument(problem: string): CkptfsError {
  return new CkptfsError('bad-argument', `tpm2: ${problem}`);
}

/** Reads what a slot has. Returns undefined for what cannot have been sealed. */
function readSealed(wrapped: Buffer) {
  try {
    const sealed = parseSealed(wrapped);
    return { ...sealed, ...demandsOf(sealed.publicPart) };
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}
