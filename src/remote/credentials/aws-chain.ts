import { CkptfsError } from '../../base/errors.ts';
import { wipe } from '../../base/wipe.ts';
import type { HttpClient } from '../http/http-client.ts';
import {
  type AwsCredentialSource,
  type AwsCredentials,
  credentialsOf,
  parseCredentials,
  RenewedCredentials,
} from './aws-credentials.ts';
import type { AwsProfile } from './aws-profile.ts';
import { AwsServices } from './aws-services.ts';
import { runForCredentials } from './run-for-credentials.ts';

const MAX_PROCESS_BYTES = 65_536;

interface ChainOptions {
  readonly environment: NodeJS.ProcessEnv;
  readonly profile: AwsProfile;
  readonly region: string;
  readonly timeoutSeconds: number;
}

/** Finds credentials where programs of AWS look for them, in their order. */
export function awsCredentials(http: HttpClient, options: ChainOptions): AwsCredentialSource {
  const { environment, profile, region } = options;
  const services = new AwsServices(http, environment, options.timeoutSeconds);
  return new RenewedCredentials(
    async (signal) =>
      fromEnvironment(environment) ??
      fromProfile(profile) ??
      (await fromProcess(profile, options.timeoutSeconds)) ??
      (await services.ofWebIdentity(region, signal)) ??
      (await services.ofContainer(signal)) ??
      (await services.ofInstance(signal)),
  );
}

function fromEnvironment(environment: NodeJS.ProcessEnv): AwsCredentials | undefined {
  const names = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'] as const;
  return fromSettings(names, (name) => environment[name] || undefined);
}

/**
 * Makes credentials of three settings; undefined where there is neither of the first two.
 * @throws CkptfsError `bad-key-file` for a half of them, and for what cannot be sent: others that are found later would
 *   be those of another user than the one that was meant
 */
function fromSettings(
  [id, secret, token]: readonly [string, string, string],
  value: (name: string) => string | undefined,
): AwsCredentials | undefined {
  if (value(id) === undefined && value(secret) === undefined) return undefined;
  const found = credentialsOf(value(id), value(secret), value(token));
  if (found !== undefined) return found;
  throw new CkptfsError('bad-key-file', `${id}, ${secret} and ${token}: they are no credentials that can be sent`, {
    data: { reason: 'not-a-key' },
  });
}

function fromProfile(profile: AwsProfile): AwsCredentials | undefined {
  for (const name of ['role_arn', 'sso_session', 'sso_start_url']) {
    if (!profile.has(name) || profile.has('credential_process') || profile.has('aws_access_key_id')) continue;
    throw new CkptfsError(
      'bad-key-file',
      `the profile of AWS needs ${name}, which ckptfs does not do: name a program that does by credential_process`,
      { data: { reason: 'unsupported' } },
    );
  }
  const names = ['aws_access_key_id', 'aws_secret_access_key', 'aws_session_token'] as const;
  return fromSettings(names, (name) => profile.get(name) || undefined);
}

async function fromProcess(profile: AwsProfile, timeoutSeconds: number): Promise<AwsCredentials | undefined> {
  const command = profile.get('credential_process');
  if (command === undefined) return undefined;
  const output = Buffer.alloc(MAX_PROCESS_BYTES);
  try {
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
