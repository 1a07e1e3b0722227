import { CkptfsError } from '../../base/errors.ts';
import { awsDomain } from '../shared/aws-domain.ts';
import type { S3Address } from '../shared/remote-address.ts';

const DEFAULT_REGION = 'us-east-1';

/** Which server has a bucket. */
export interface S3Endpoint {
  /** Undefined for AWS. */
  readonly url?: URL | undefined;
  readonly region: string;
}

/** @throws CkptfsError `bad-argument` for what is no URL or no region */
export function s3Endpoint(text: string | undefined, region: string = DEFAULT_REGION): S3Endpoint {
  if (!/^[a-z0-9-]{1,64}$/i.test(region)) throw new CkptfsError('bad-argument', 'the region of S3 is not one');
  if (text === undefined) return { region };
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain =
    url !== undefined && url.username === '' && url.password === '' && url.search === '' && url.hash === '';
  if (!isPlain || !/^https?:$/.test(url.protocol))
    throw new CkptfsError('bad-argument', 'the endpoint of S3 is not a plain URL, http://HOST or https://HOST');
  return { url, region };
}

/** Returns the URL of an object, or of the bucket for an empty key. Only AWS has a bucket in the name of the host. */
export function s3Url({ url, region }: S3Endpoint, { bucket }: S3Address, key: string): URL {
  const path = key.split('/').map(encodeName).join('/');
  if (url !== undefined) return new URL(`${url.origin}${url.pathname.replace(/\/$/, '')}/${bucket}/${path}`);
  const domain = awsDomain(region);
  const isName = /^[a-z0-9-]+$/.test(bucket);
  const [host, first] = isName ? [`${bucket}.s3.${region}.${domain}`, ''] : [`s3.${region}.${domain}`, `${bucket}/`];
  return new URL(`https://${host}/${first}${path}`);
}

/** Escapes one name of a path, as RFC 3986 does and Signature Version 4 wants it. */
export function encodeName(name: string): string {
  return encodeURIComponent(name).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
