import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { CkptfsError } from '../../base/errors.ts';
import type { HttpClient } from '../http/http-client.ts';
import { isLoopback } from '../http/reachable-addresses.ts';
import { awsDomain } from '../shared/aws-domain.ts';
import { parseObject } from '../shared/json-object.ts';
import { askForCredentials, serviceUrl } from './ask-service.ts';
import { type AwsCredentials, credentialsOf } from './aws-credentials.ts';
import { type AwsProfile, type AwsProfiles, awsDirectory } from './aws-profile.ts';
import { openSmallFile } from './small-file.ts';

const LOG_IN = 'log in by "aws sso login"';

/** Which login a profile uses. */
interface Login {
  /** What the file of its token is called after: the name of the session, or the URL where the profile has none. */
  readonly name: string;
  readonly startUrl: string;
  readonly region: string;
}

/** Roles of IAM Identity Center, for the user who logged in by `aws sso login`. */
export class AwsLogins {
  readonly #http: HttpClient;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #profiles: AwsProfiles;

  constructor(http: HttpClient, environment: NodeJS.ProcessEnv, profiles: AwsProfiles) {
    this.#http = http;
    this.#environment = environment;
    this.#profiles = profiles;
  }

  /**
   * Asks the portal for the role of a profile (GetRoleCredentials), with the token that a login left. The token is read
   * anew each time, and never renewed.
   * @returns undefined for a profile that uses no login
   * @throws CkptfsError `store-unavailable`, `bad-argument`, `bad-key-file`; Retryable
   */
  async credentials(profile: AwsProfile, signal: AbortSignal): Promise<AwsCredentials | undefined> {
    const login = this.#loginOf(profile);
    if (login === undefined) return undefined;
    const account = settingOf(profile, 'sso_account_id', /^\d{12}$/);
    const role = settingOf(profile, 'sso_role_name', /^[\w+=,.@-]{1,64}$/);
    const url = this.#portal(login.region);
    url.pathname = `${url.pathname.replace(/\/$/, '')}/federation/credentials`;
    url.search = new URLSearchParams({ role_name: role, account_id: account }).toString();
    const headers = { accept: 'application/json', 'x-amz-sso_bearer_token': this.#token(login) };
    const request = { what: `the role ${role} of the login`, method: 'GET', url, headers, advice: LOG_IN } as const;
    return askForCredentials(this.#http, request, signal, parseRoleCredentials);
  }

  #loginOf(profile: AwsProfile): Login | undefined {
    const session = profile.trusted('sso_session');
    if (session === undefined && profile.trusted('sso_start_url') === undefined) return undefined;
    const section = session === undefined ? profile : this.#profiles.findLogin(session);
    if (section === undefined) throw notUsable('absent', `there is no section [sso-session ${session}]`);
    for (const name of ['sso_start_url', 'sso_region']) {
      const [own, shared] = [profile.get(name), section.get(name)];
      if (own !== undefined && own !== shared)
        throw notUsable('mismatch', `${name} of the profile ${profile.name} is another one than its session has`);
    }
    const startUrl = settingOf(section, 'sso_start_url', /^https:\/\/[\x21-\x7e]+$/);
    return { name: session ?? startUrl, startUrl, region: settingOf(section, 'sso_region', /^[a-z0-9-]{1,64}$/) };
  }

  /** A token is all that the portal asks for, so that it goes to no server but AWS and one that is named for it. */
  #portal(region: string): URL {
    const named = this.#environment['AWS_ENDPOINT_URL_SSO'];
    if (!named) return new URL(`https://portal.sso.${region}.${awsDomain(region)}`);
    const url = serviceUrl('AWS_ENDPOINT_URL_SSO', named);
    if (url.protocol === 'https:' || isLoopback(url.hostname)) return url;
    throw new CkptfsError('bad-argument', 'AWS_ENDPOINT_URL_SSO: it is neither https nor a service of this host');
  }

  #token({ name, startUrl, region }: Login): string {
    const file = `${createHash('sha1').update(name).digest('hex')}.json`;
    const path = join(awsDirectory(this.#environment), 'sso', 'cache', file);
    const found = openSmallFile(path);
    if (found === undefined) throw notUsable('absent', `there is no token of the login in ${path}: ${LOG_IN}`, path);
    if (!found.isOwn)
      throw notUsable('unreadable', `${path}: its token is not used, since another user can change this file`, path);
    const members = new Map<string, unknown>(Object.entries(parseObject(found.text) ?? {}));
    const token = members.get('accessToken');
    if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token))
      throw notUsable('unsupported', `${path} has no token: ${LOG_IN}`, path);
    if (members.get('startUrl') !== startUrl || members.get('region') !== region)
      throw notUsable('mismatch', `${path}: its token is that of another login: ${LOG_IN}`, path);
    // Older programs write UTC where ISO 8601 has a Z.
    const expiresAt = Date.parse(String(members.get('expiresAt')).replace(/UTC$/, 'Z'));
    if (!(expiresAt > Date.now())) throw notUsable('expired', `${path}: its token has expired: ${LOG_IN}`, path);
    return token;
  }
}

function settingOf(section: AwsProfile, name: string, pattern: RegExp): string {
  const value = section.trusted(name);
  if (value !== undefined && pattern.test(value)) return value;
  const problem = value === undefined ? 'is missing' : 'is not one';
  throw notUsable(value === undefined ? 'absent' : 'unsupported', `${name} of ${section.name} ${problem}`);
}

/** Parses what the portal answers: JSON, with a time in milliseconds. */
function parseRoleCredentials(text: string): AwsCredentials | undefined {
  const found: unknown = new Map<string, unknown>(Object.entries(parseObject(text) ?? {})).get('roleCredentials');
  if (typeof found !== 'object' || found === null) return undefined;
  const members = new Map<string, unknown>(Object.entries(found));
  const [id, secret, token] = ['accessKeyId', 'secretAccessKey', 'sessionToken'].map((name) => {
    const value = members.get(name);
    return typeof value === 'string' ? value : undefined;
  });
  const credentials = token === undefined ? undefined : credentialsOf(id, secret, token);
  const expiresAt = members.get('expiration');
  return credentials === undefined || typeof expiresAt !== 'number' ? undefined : { ...credentials, expiresAt };
}

type Reason = 'absent' | 'expired' | 'mismatch' | 'unreadable' | 'unsupported';

function notUsable(reason: Reason, problem: string, path?: string): CkptfsError {
  return new CkptfsError('bad-key-file', problem, { ...(path === undefined ? {} : { path }), data: { reason } });
}
