import { Readable } from 'node:stream';
import aws4 from 'aws4';
import { CkptfsError } from '../../base/errors.ts';
import type { HttpClient } from '../http/http-client.ts';
import { awsDomain } from '../shared/aws-domain.ts';
import { askForCredentials, serviceUrl } from './ask-service.ts';
import { type AwsCredentials, credentialsOf } from './aws-credentials.ts';
import type { AwsProfile } from './aws-profile.ts';
import { readSmallFile } from './small-file.ts';

const VERSION = '2011-06-15';
const FORM = 'application/x-www-form-urlencoded';
const SESSION_NAME = 'ckptfs';

/** A role that is taken, by its name (ARN). */
export interface Role {
  readonly arn: string;
  /** What its use is called in the logs of AWS. */
  readonly sessionName?: string | undefined;
  readonly externalId?: string | undefined;
  /** In decimal digits. */
  readonly durationSeconds?: string | undefined;
}

interface StsOptions {
  readonly environment: NodeJS.ProcessEnv;
  /** The profile that may name the server. */
  readonly profile: AwsProfile;
  readonly region: string;
}

/** The Security Token Service of AWS, version 2011-06-15 of its API, in one region. */
export class SecurityTokenService {
  readonly #http: HttpClient;
  readonly #options: StsOptions;

  constructor(http: HttpClient, options: StsOptions) {
    this.#http = http;
    this.#options = options;
  }

  /**
   * Takes a role (AssumeRole).
   * @param source signs the request
   * @throws CkptfsError `store-unavailable`, `bad-argument`, `bad-key-file`; Retryable
   */
  assumeRole(role: Role, source: AwsCredentials, signal: AbortSignal): Promise<AwsCredentials> {
    const form = formOf('AssumeRole', role, { ExternalId: role.externalId, DurationSeconds: role.durationSeconds });
    return this.#ask(`the role ${role.arn}`, form, source, signal);
  }

  /**
   * Takes a role by a token (AssumeRoleWithWebIdentity), which is read anew each time.
   * @throws CkptfsError `store-unavailable`, `bad-argument`, `bad-key-file`; Retryable
   */
  assumeRoleByToken(role: Role, tokenFile: string, signal: AbortSignal): Promise<AwsCredentials> {
    const token = readSmallFile(tokenFile)?.trim();
    if (token === undefined) {
      throw new CkptfsError('bad-key-file', `${tokenFile} does not exist`, {
        path: tokenFile,
        data: { reason: 'absent' },
      });
    }
    const form = formOf('AssumeRoleWithWebIdentity', role, { WebIdentityToken: token });
    return this.#ask('the credentials of the web identity', form, undefined, signal);
  }

  #ask(what: string, form: string, source: AwsCredentials | undefined, signal: AbortSignal): Promise<AwsCredentials> {
    const url = this.#url();
    const bytes = Buffer.from(form);
    const fields = { host: url.host, 'content-type': FORM, 'content-length': String(bytes.length) };
    const [path, { region }] = [url.pathname + url.search, this.#options];
    const { headers } =
      source === undefined
        ? { headers: fields }
        : aws4.sign(
            { method: 'POST', host: url.host, path, headers: fields, body: form, service: 'sts', region },
            source,
          );
    const body = { size: bytes.length, open: () => Readable.from([bytes]) };
    const request = { what, method: 'POST', url, headers: headers as Record<string, string>, body } as const;
    return askForCredentials(this.#http, request, signal, parseAssumedRole);
  }

  /** Tokens are sent there, so that a file which another user can change does not say where it is. */
  #url(): URL {
    const { environment, profile, region } = this.#options;
    for (const name of ['AWS_ENDPOINT_URL_STS', 'AWS_ENDPOINT_URL']) {
      const text = environment[name];
      if (text) return serviceUrl(name, text);
    }
    return serviceUrl('endpoint_url', profile.trusted('endpoint_url') ?? `https://sts.${region}.${awsDomain(region)}`);
  }
}

function formOf(action: string, role: Role, others: Readonly<Record<string, string | undefined>>): string {
  const members = { RoleArn: role.arn, RoleSessionName: role.sessionName ?? SESSION_NAME, ...others };
  const form = new URLSearchParams({ Action: action, Version: VERSION });
  for (const [name, value] of Object.entries(members)) if (value !== undefined) form.set(name, value);
  return form.toString();
}

/** Parses what STS answers, which is XML. */
function parseAssumedRole(text: string): AwsCredentials | undefined {
  const member = (name: string): string | undefined => new RegExp(`<${name}>([^<]{1,8192})</${name}>`).exec(text)?.[1];
  return credentialsOf(member('AccessKeyId'), member('SecretAccessKey'), member('SessionToken'), member('Expiration'));
}
