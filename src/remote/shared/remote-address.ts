import { CkptfsError } from '../../base/errors.ts';

/** `s3://BUCKET/PREFIX`. */
export interface S3Address {
  readonly kind: 's3';
  readonly bucket: string;
  /** Without a slash at its end; empty for the whole bucket. */
  readonly prefix: string;
}

/** `oci://HOST/REPOSITORY:TAG` or `oci://HOST/REPOSITORY@sha256:DIGEST`. */
export interface OciAddress {
  readonly kind: 'oci';
  /** With the port, if one is named. */
  readonly host: string;
  readonly repository: string;
  readonly tag?: string;
  /** `sha256:` and 64 hexadecimal digits. */
  readonly digest?: string;
}

export type RemoteAddress = S3Address | OciAddress;

const MAX_PREFIX_BYTES = 900;
/** The grammar of the OCI distribution specification. */
const REPOSITORY = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const MAX_REPOSITORY_CHARACTERS = 255;

/** Tells whether a word is the address of a remote store, right or wrong. */
export function isRemoteAddress(text: string): boolean {
  return /^(?:s3|oci):/.test(text);
}

/**
 * Parses an address.
 * @throws CkptfsError `bad-argument`, which does not repeat what may be a password
 */
export function parseRemoteAddress(text: string): RemoteAddress {
  const [, scheme, rest = ''] = /^(s3|oci):\/\/(.+)$/s.exec(text) ?? [];
  if (scheme === undefined)
    throw bad('the address of a remote store is written s3://BUCKET/PREFIX or oci://HOST/REPOSITORY:TAG');
  return scheme === 's3' ? s3Address(rest) : ociAddress(rest);
}

/** Writes an address as a user does. */
export function remoteUrl(address: RemoteAddress): string {
  if (address.kind === 's3') return `s3://${address.bucket}${address.prefix === '' ? '' : `/${address.prefix}`}`;
  const { host, repository, tag, digest } = address;
  return `oci://${host}/${repository}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

function s3Address(rest: string): S3Address {
  const [, bucket = '', path = ''] = /^([^/]*)(?:\/(.*))?$/s.exec(rest) ?? [];
  if (bucket.includes('@') || bucket.includes(':'))
    throw bad('an address has no credentials, since every process can read it');
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$/.test(bucket) || bucket.includes('..'))
    throw bad(`s3://${bucket}: it names no bucket of 3 to 63 letters, digits, dots and hyphens`);
  const prefix = path.replace(/\/$/, '');
  if (prefix !== '' && !isPlainPath(prefix))
    throw bad('the prefix in s3://BUCKET/PREFIX has an empty name, "." or "..", a control character, or is too long');
  return { kind: 's3', bucket, prefix };
}

/** Tells whether no server reads a path as another one. */
export function isPlainPath(path: string): boolean {
  const isWrong = (name: string): boolean => name === '' || name === '.' || name === '..';
  return (
    Buffer.byteLength(path) <= MAX_PREFIX_BYTES && !/[\p{Cc}\p{Cs}\\?#]/u.test(path) && !path.split('/').some(isWrong)
  );
}

function ociAddress(rest: string): OciAddress {
  const [, host = '', path = ''] = /^([^/]*)\/(.*)$/s.exec(rest) ?? [];
  if (host.includes('@')) throw bad('an address has no credentials, since every process can read it');
  if (!/^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/.test(host))
    throw bad('oci://HOST/REPOSITORY:TAG: it names no host of a registry');
  const [, repository = '', tag, digest] = /^([^:@]*)(?::([^:@]*))?(?:@(.*))?$/s.exec(path) ?? [];
  if (!REPOSITORY.test(repository) || repository.length > MAX_REPOSITORY_CHARACTERS)
    throw bad(`oci://${host}: it names no repository of small letters, digits, and . _ - / between them`);
  if (tag !== undefined && !/^\w[\w.-]{0,127}$/.test(tag)) throw bad(`oci://${host}/${repository}: its tag is not one`);
  if (digest !== undefined && !/^sha256:[0-9a-f]{64}$/.test(digest))
    throw bad(`oci://${host}/${repository}: its digest is not sha256: and 64 hexadecimal digits`);
  return {
    kind: 'oci',
    host,
    repository,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

function bad(problem: string): CkptfsError {
  return new CkptfsError('bad-argument', problem);
}
