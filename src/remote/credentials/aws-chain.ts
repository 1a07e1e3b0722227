import type { HttpClient } from '../http/http-client.ts';
import {
  type AwsCredentialSource,
  type AwsCredentials,
  credentialsOfSettings,
  RenewedCredentials,
} from './aws-credentials.ts';
import type { AwsProfiles } from './aws-profile.ts';
import { AwsServices } from './aws-services.ts';
import { AwsLogins } from './aws-sso.ts';
import { SecurityTokenService } from './aws-sts.ts';
import { ProfileCredentials } from './profile-credentials.ts';

const KEYS = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'] as const;

interface ChainOptions {
  readonly environment: NodeJS.ProcessEnv;
  readonly profiles: AwsProfiles;
  readonly region: string;
  readonly timeoutSeconds: number;
}

/** Finds credentials where programs of AWS look for them, in their order. */
export function awsCredentials(http: HttpClient, options: ChainOptions): AwsCredentialSource {
  const { environment, profiles, region, timeoutSeconds } = options;
  const value = (name: string): string | undefined => environment[name] || undefined;
  const fromEnvironment = (): AwsCredentials | undefined => credentialsOfSettings(KEYS, value);
  const services = new AwsServices(http, environment, timeoutSeconds);
  const sts = new SecurityTokenService(http, { environment, profile: profiles.chosen, region });
  const logins = new AwsLogins(http, environment, profiles);
  const ofProfiles = new ProfileCredentials({ profiles, fromEnvironment, services, sts, logins, timeoutSeconds });
  const fromToken = async (signal: AbortSignal): Promise<AwsCredentials | undefined> => {
    const [path, arn] = [value('AWS_WEB_IDENTITY_TOKEN_FILE'), value('AWS_ROLE_ARN')];
    if (path === undefined || arn === undefined) return undefined;
    return sts.assumeRoleByToken({ arn, sessionName: value('AWS_ROLE_SESSION_NAME') }, path, signal);
  };
  return new RenewedCredentials(
    async (signal) =>
      (usesEnvironment(profiles) ? undefined : fromEnvironment()) ??
      (await ofProfiles.find(profiles.chosen, signal)) ??
      (await fromToken(signal)) ??
      (await services.ofContainer(signal)) ??
      (await services.ofInstance(signal)),
  );
}

/** Tells whether the user named a profile whose role is assumed with the keys of the environment. */
function usesEnvironment({ isNamed, chosen }: AwsProfiles): boolean {
  return isNamed && chosen.get('credential_source')?.toLowerCase() === 'environment';
}
