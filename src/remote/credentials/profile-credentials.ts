import { CkptfsError } from '../../base/errors.ts';
import { wipe } from '../../base/wipe.ts';
import { type AwsCredentials, credentialsOfSettings, parseCredentials } from './aws-credentials.ts';
import type { AwsProfile, AwsProfiles } from './aws-profile.ts';
import type { AwsServices } from './aws-services.ts';
import type { AwsLogins } from './aws-sso.ts';
import type { Role, SecurityTokenService } from './aws-sts.ts';
import { runForCredentials } from './run-for-credentials.ts';

const MAX_PROCESS_BYTES = 65_536;
/** How many roles may be taken, each with the credentials of the one before. */
const MAX_ROLES = 8;
const KEYS = ['aws_access_key_id', 'aws_secret_access_key', 'aws_session_token'] as const;

/** What gives credentials that a profile asks for. */
export interface ProfileSources {
  readonly profiles: AwsProfiles;
  readonly fromEnvironment: () => AwsCredentials | undefined;
  readonly services: AwsServices;
  readonly sts: SecurityTokenService;
  readonly logins: AwsLogins;
  readonly timeoutSeconds: number;
}

/** Finds the credentials of profiles. */
export class ProfileCredentials {
  readonly #sources: ProfileSources;

  constructor(sources: ProfileSources) {
    this.#sources = sources;
  }

  /**
   * Returns the credentials of a profile: those of its role, its keys, its web identity, its program, its login.
   * @param users names of the profiles whose roles are taken with them, the first one first
   * @returns undefined for a profile that has none of these
   * @throws CkptfsError `bad-key-file`, `store-unavailable`, `interrupted`; Retryable
   */
  async find(
    profile: AwsProfile,
    signal: AbortSignal,
    users: readonly string[] = [],
  ): Promise<AwsCredentials | undefined> {
    const keys = keysOf(profile);
    // A profile that is a source gives its keys; so one can be the source of its own role.
    const isKeys = users.length > 0 && keys !== undefined;
    if (!isKeys && takesRole(profile)) return this.#assumeRole(profile, signal, users);
    const found =
      keys ??
      (await this.#ofWebIdentity(profile, signal)) ??
      (await this.#ofProgram(profile)) ??
      (await this.#sources.logins.credentials(profile, signal));
    if (found === undefined && profile.get('role_arn') !== undefined)
      throw refused(profile, 'absent', 'it has a role_arn and neither source_profile nor credential_source');
    return found;
  }

  async #assumeRole(profile: AwsProfile, signal: AbortSignal, users: readonly string[]): Promise<AwsCredentials> {
    const role = roleOf(profile);
    const source = await this.#sourceOf(profile, signal, [...users, profile.name]);
    if (source === undefined)
      throw refused(profile, 'absent', 'there are no credentials where it takes those for its role from');
    return this.#sources.sts.assumeRole(role, source, signal);
  }

  #sourceOf(profile: AwsProfile, signal: AbortSignal, users: readonly string[]): Promise<AwsCredentials | undefined> {
    const [name, kind] = [profile.get('source_profile'), profile.trusted('credential_source')];
    if (kind !== undefined) {
      if (name !== undefined) throw refused(profile, 'mismatch', 'it has a source_profile and a credential_source');
      return this.#ofKind(profile, kind, signal);
    }
    const source = this.#sources.profiles.find(name ?? '');
    if (source === undefined) throw refused(profile, 'absent', `there is no profile ${name}, its source_profile`);
    const isLoop = name === profile.name ? keysOf(source) === undefined : users.includes(source.name);
    if (isLoop) throw refused(profile, 'mismatch', `its source_profile ${name} leads back to itself`);
    if (users.length > MAX_ROLES)
      throw refused(profile, 'unsupported', `more than ${MAX_ROLES} roles are to be taken in a row`);
    return this.find(source, signal, users);
  }

  async #ofKind(profile: AwsProfile, kind: string, signal: AbortSignal): Promise<AwsCredentials | undefined> {
    const { services, fromEnvironment } = this.#sources;
    switch (kind.toLowerCase()) {
      case 'environment':
        return fromEnvironment();
      case 'ec2instancemetadata':
        return services.ofInstance(signal);
      case 'ecscontainer':
        return services.ofContainer(signal);
      default:
        throw refused(profile, 'unsupported', 'its credential_source is not one');
    }
  }

  async #ofWebIdentity(profile: AwsProfile, signal: AbortSignal): Promise<AwsCredentials | undefined> {
    const path = profile.trusted('web_identity_token_file');
    if (path === undefined) return undefined;
    return this.#sources.sts.assumeRoleByToken(roleOf(profile), path, signal);
  }

  async #ofProgram(profile: AwsProfile): Promise<AwsCredentials | undefined> {
    const command = profile.trusted('credential_process');
    if (command === undefined) return undefined;
    const output = Buffer.alloc(MAX_PROCESS_BYTES);
    try {
      const { timeoutSeconds } = this.#sources;
      const length = await runForCredentials('credential_process', command, output, { timeoutSeconds });
      const found = parseCredentials(output.toString('utf8', 0, length));
      if (found !== undefined) return found;
      throw new CkptfsError('bad-key-file', 'credential_process: it answers no credentials', {
        data: { reason: 'not-a-key' },
      });
    } finally {
      wipe(output);
    }
  }
}

/** Tells whether a role is assumed with other credentials. One by a token in a file needs none. */
function takesRole(profile: AwsProfile): boolean {
  const has = (name: string): boolean => profile.get(name) !== undefined;
  return has('role_arn') && !has('web_identity_token_file') && (has('source_profile') || has('credential_source'));
}

function keysOf(profile: AwsProfile): AwsCredentials | undefined {
  return credentialsOfSettings(KEYS, (name) => profile.get(name));
}

function roleOf(profile: AwsProfile): Role {
  const [arn, durationSeconds] = [profile.get('role_arn'), profile.get('duration_seconds')];
  if (arn === undefined) throw refused(profile, 'absent', 'it has no role_arn');
  if (!/^[\x21-\x7e]{1,2048}$/.test(arn)) throw refused(profile, 'unsupported', 'its role_arn is not one');
  if (durationSeconds !== undefined && !/^\d{1,6}$/.test(durationSeconds))
    throw refused(profile, 'unsupported', 'its duration_seconds is not a number');
  if (profile.get('mfa_serial') !== undefined) {
    const problem = 'it has mfa_serial, and ckptfs asks for no codes: name a program that does by credential_process';
    throw refused(profile, 'unsupported', problem);
  }
  return {
    arn,
    sessionName: profile.get('role_session_name'),
    externalId: profile.get('external_id'),
    durationSeconds,
  };
}

function refused({ name }: AwsProfile, reason: 'absent' | 'mismatch' | 'unsupported', problem: string): CkptfsError {
  return new CkptfsError('bad-key-file', `the profile ${name} of AWS: ${problem}`, { data: { reason } });
}
