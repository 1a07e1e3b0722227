import { type Configuration, type ConfiguredName, configuredNames, readConfiguration } from './configuration.ts';

/** A setting that holds, as it is shown. */
export interface ConfiguredSetting {
  /** The option that it stands for. */
  readonly option: string;
  readonly values: readonly string[];
  /** A path or the name of a variable. */
  readonly from: string;
}

/** Returns what is configured. @throws CkptfsError `bad-argument` */
export function configuredSettings({ options, origins }: Configuration = readConfiguration()): ConfiguredSetting[] {
  return configuredNames.flatMap((name) => {
    const value = options[name];
    const from = origins.get(name);
    if (value === undefined || from === undefined) return [];
    const values = Array.isArray(value) ? value : [value];
    return [{ option: optionName(name), values: values.map((each) => shown(String(each))), from }];
  });
}

function optionName(name: ConfiguredName): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Leaves out what may have a secret: commands, parameters of key providers, and queries of URLs. */
function shown(value: string): string {
  const [command] = /^(?:passphrase:)?cmd:/.exec(value) ?? [];
  if (command !== undefined) return `${command}…`;
  if (value.startsWith('keyprovider:')) return value.replace(/^(keyprovider:[^:]*:).*$/s, '$1…');
  return value.startsWith('https:') ? value.replace(/[?#].*$/s, '?…') : value;
}
