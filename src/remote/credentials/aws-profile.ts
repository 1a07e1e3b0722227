import { homedir } from 'node:os';
import { join } from 'node:path';
import { CkptfsError } from '../../base/errors.ts';
import { parseIni } from './ini-file.ts';
import { openSmallFile } from './small-file.ts';

const DEFAULT_PROFILE = 'default';

interface Setting {
  readonly value: string;
  /** The file that it is from. */
  readonly path: string;
  /** Whether no other user than this one and root can change that file. */
  readonly isOwn: boolean;
}

type Sections = ReadonlyMap<string, ReadonlyMap<string, Setting>>;

/** The settings of one section, by name in small letters. */
export class AwsProfile {
  readonly name: string;
  readonly #settings: ReadonlyMap<string, Setting>;

  constructor(name: string, settings: ReadonlyMap<string, Setting>) {
    this.name = name;
    this.#settings = settings;
  }

  get(name: string): string | undefined {
    return this.#settings.get(name)?.value || undefined;
  }

  /**
   * Like {@link get}, for a setting that has more done than its own file could do: run a program, read another file,
   * take credentials from elsewhere, or send them to a server. With sudo, for one, the file can be that of a user.
   * @throws CkptfsError `bad-key-file` for a setting that another user can change
   */
  trusted(name: string): string | undefined {
    const setting = this.#settings.get(name);
    if (!setting?.value || setting.isOwn) return setting?.value || undefined;
    const { path } = setting;
    throw new CkptfsError(
      'bad-key-file',
      `${path}: its ${name} is not obeyed, since another user can change this file`,
      { path, data: { reason: 'unreadable' } },
    );
  }
}

/** The profiles in the files of AWS. The file of credentials counts before that of settings. */
export class AwsProfiles {
  /** The profile that AWS_PROFILE names, `default` unless it does. */
  readonly chosen: AwsProfile;
  /** Whether AWS_PROFILE names it. */
  readonly isNamed: boolean;
  readonly #fromSettings: Sections;
  readonly #fromCredentials: Sections;

  /** @throws CkptfsError `bad-key-file` for a file that cannot be read, for a profile that is named and missing */
  constructor(environment: NodeJS.ProcessEnv) {
    const settingsPath = environment['AWS_CONFIG_FILE'] || join(awsDirectory(environment), 'config');
    const credentialsPath =
      environment['AWS_SHARED_CREDENTIALS_FILE'] || join(awsDirectory(environment), 'credentials');
    this.#fromSettings = readSections(settingsPath);
    this.#fromCredentials = readSections(credentialsPath);
    const named = environment['AWS_PROFILE'] || undefined;
    this.isNamed = named !== undefined;
    const chosen = this.find(named ?? DEFAULT_PROFILE);
    if (chosen === undefined && named !== undefined) {
      throw new CkptfsError('bad-key-file', `there is no profile ${named} in ${credentialsPath} and ${settingsPath}`, {
        data: { reason: 'absent' },
      });
    }
    this.chosen = chosen ?? new AwsProfile(DEFAULT_PROFILE, new Map());
  }

  /** Returns a profile; undefined where neither file has it. */
  find(name: string): AwsProfile | undefined {
    const [settings, credentials] = [
      this.#fromSettings.get(`profile ${name}`) ??
        (name === DEFAULT_PROFILE ? this.#fromSettings.get(name) : undefined),
      this.#fromCredentials.get(name),
    ];
    if (settings === undefined && credentials === undefined) return undefined;
    return new AwsProfile(name, new Map([...(settings ?? []), ...(credentials ?? [])]));
  }

  /** Returns the section of a login that profiles share; undefined where there is none. */
  findLogin(name: string): AwsProfile | undefined {
    const settings = this.#fromSettings.get(`sso-session ${name}`);
    return settings === undefined ? undefined : new AwsProfile(name, settings);
  }
}

/** Returns the directory where programs of AWS keep what they know of a user. */
export function awsDirectory(environment: NodeJS.ProcessEnv): string {
  return join(environment['HOME'] || homedir(), '.aws');
}

function readSections(path: string): Sections {
  const file = openSmallFile(path);
  if (file === undefined) return new Map();
  const { isOwn } = file;
  return new Map(
    [...parseIni(file.text)].map(([section, settings]) => [
      section.replace(/^(profile|sso-session)\s+/, '$1 '),
      new Map([...settings].map(([name, value]) => [name, { value, path, isOwn }])),
    ]),
  );
}
