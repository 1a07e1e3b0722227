/** The sections of a file, by name; the settings of each, by name in small letters. */
export type IniFile = ReadonlyMap<string, ReadonlyMap<string, string>>;

/**
 * Parses a file of AWS, `[NAME]` and `SETTING = VALUE`. Lines that are indented belong to the setting before, which has
 * settings of its own then, and are left out, as is everything that is neither.
 */
export function parseIni(text: string): IniFile {
  const sections = new Map<string, Map<string, string>>();
  let section: Map<string, string> | undefined;
  for (const line of text.split(/\r?\n/)) {
    if (/^\s*(?:[#;]|$)/.test(line)) continue;
    const [, name] = /^\[\s*(.+?)\s*\]\s*(?:[#;].*)?$/.exec(line) ?? [];
    if (name !== undefined) {
      section = sections.get(name) ?? new Map<string, string>();
      sections.set(name, section);
      continue;
    }
    const [, setting, value] = /^([^\s=][^=]*?)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (setting !== undefined && value !== undefined)
      section?.set(setting.toLowerCase(), value.replace(/\s[#;].*$/, ''));
  }
  return sections;
}
