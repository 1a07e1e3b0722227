import { createHash, createHmac } from 'node:crypto';

/** A request as a server gets it. */
export interface SignedRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  /** By name in small letters. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** What the field Authorization of Signature Version 4 says. */
export interface Authorization {
  readonly accessKeyId: string;
  readonly region: string;
  readonly service: string;
  readonly signature: string;
}

/**
 * Reads a signature, and computes it again as "Signature Version 4 signing process" of AWS has it, for a request whose
 * path needs no escapes.
 * @returns what it says, and what it must be for a secret
 */
export function checkSignature(
  { method, target, headers, body }: SignedRequest,
  secret: string,
): { said: Authorization; expected: string } {
  const form =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/;
  const [, accessKeyId = '', day = '', region = '', service = '', names = '', signature = ''] =
    form.exec(String(headers['authorization'])) ?? [];
  const [path = '', query = ''] = target.split('?');
  const fields = names.split(';').map((name) => `${name}:${String(headers[name]).trim().replace(/ +/g, ' ')}\n`);
  const canonical = [method, path, query.split('&').sort().join('&'), fields.join(''), names, sha256(body)].join('\n');
  const scope = `${day}/${region}/${service}/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', headers['x-amz-date'], scope, sha256(canonical)].join('\n');
  const key = [day, region, service, 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${secret}`);
  return { said: { accessKeyId, region, service, signature }, expected: hmac(key, text).toString('hex') };
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
