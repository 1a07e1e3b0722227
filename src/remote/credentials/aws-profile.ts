import { homedir } from 'node:os';
import { join } from 'node:path';
import { CkptfsError } from '../../base/errors.ts';
import { type IniFile, parseIni } from './ini-file.ts';
import { readSmallFile } from './small-file.ts';

/** The settings of one profile, by name in small letters; the file of credentials counts before that of settings. */
export type AwsProfile = ReadonlyMap<string, string>;

const DEFAULT_PROFILE = 'default';

/**
 * Reads the profile that AWS_PROFILE names, `default` unless it does.
 * @throws CkptfsError `bad-key-file` for a file that cannot be read, and for a profile that is named and missing
 */
export function readAwsProfile(environment: NodeJS.ProcessEnv): AwsProfile {
  const named = environment['AWS_PROFILE'] || undefined;
  const name = named ?? DEFAULT_PROFILE;
  const home = environment['HOME'] || homedir();
  const [settingsPath, credentialsPath] = [
    environment['AWS_CONFIG_FILE'] || join(home, '.aws', 'config'),
    environment['AWS_SHARED_CREDENTIALS_FILE'] || join(home, '.aws', 'credentials'),
  ];
  const settings = readIni(settingsPath);
  const fromSettings = settings.get(`profile ${name}`) ?? (name === DEFAULT_PROFILE ? settings.get(name) : undefined);
  const fromCredentials = readIni(credentialsPath).get(name);
  if (named !== undefined && fromSettings === undefined && fromCredentials === undefined) {
    throw new CkptfsError('bad-key-file', `there is no profile ${name} in ${credentialsPath} and ${settingsPath}`, {
      data: { reason: 'absent' },
    });
  }
  return new Map([...(fromSettings ?? []), ...(fromCredentials ?? [])]);
}

function readIni(path: string): IniFile {
  const text = readSmallFile(path);
  return text === undefined ? new Map() : parseIni(text);
}
