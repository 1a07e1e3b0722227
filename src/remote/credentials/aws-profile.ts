import { homedir } from 'node:os';
import { join } from 'node:path';
import { CkptfsError } from '../../base/errors.ts';
import { parseIni } from './ini-file.ts';
import { openSmallFile } from './small-file.ts';

/** The settings of one profile, by name in small letters; the file of credentials counts before that of settings. */
export type AwsProfile = ReadonlyMap<string, string>;

const DEFAULT_PROFILE = 'default';

/**
 * Reads the profile that AWS_PROFILE names, `default` unless it does.
 * @throws CkptfsError `bad-key-file` for a file that cannot be read, for a profile that is named and missing, and for a
 *   program that another user can name
 */
export function readAwsProfile(environment: NodeJS.ProcessEnv): AwsProfile {
  const named = environment['AWS_PROFILE'] || undefined;
  const name = named ?? DEFAULT_PROFILE;
  const home = environment['HOME'] || homedir();
  const [settingsPath, credentialsPath] = [
    environment['AWS_CONFIG_FILE'] || join(home, '.aws', 'config'),
    environment['AWS_SHARED_CREDENTIALS_FILE'] || join(home, '.aws', 'credentials'),
  ];
  const names = [`profile ${name}`, ...(name === DEFAULT_PROFILE ? [name] : [])];
  const fromSettings = readSection(settingsPath, names);
  const fromCredentials = readSection(credentialsPath, [name]);
  if (named !== undefined && fromSettings === undefined && fromCredentials === undefined) {
    throw new CkptfsError('bad-key-file', `there is no profile ${name} in ${credentialsPath} and ${settingsPath}`, {
      data: { reason: 'absent' },
    });
  }
  return new Map([...(fromSettings ?? []), ...(fromCredentials ?? [])]);
}

/** Reads the first of some sections that a file has. */
function readSection(path: string, names: readonly string[]): AwsProfile | undefined {
  const file = openSmallFile(path);
  if (file === undefined) return undefined;
  const sections = parseIni(file.text);
  const section = names.map((name) => sections.get(name)).find((found) => found !== undefined);
  // With sudo, for one, this can be the file of a user, and the program would be run by root.
  if (section?.has('credential_process') !== true || file.isOwn) return section;
  throw new CkptfsError(
    'bad-key-file',
    `${path}: the program that it names by credential_process is not run, since another user can change this file`,
    { path, data: { reason: 'unreadable' } },
  );
}
