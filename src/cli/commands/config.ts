import type { Argv } from 'yargs';
import { printable } from '../../base/printable.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import { Policies } from '../config/enforcement.ts';
import { configurationPaths } from '../config/places.ts';
import { type ConfiguredSetting, configuredSettings } from '../config/settings.ts';
import { withPolicyOption } from '../options/key-options.ts';
import { withJson } from '../options/options.ts';
import { table } from '../terminal/listing.ts';
import { print, printJson } from '../terminal/output.ts';

export const command = defineCommand({
  examples: [
    ['$0 config', 'Which keys count where a command names none, and what the policy of this host demands'],
    ['$0 config --json', 'For a program to read'],
  ],
  options: (yargs: Argv<CommonOptions>) => withJson(withPolicyOption(yargs)),
  async run({ json, policy }) {
    const settings = configuredSettings();
    const policies = Policies.read(policy).all;
    if (json) return printJson({ settings, policies: policies.map(({ path, rules }) => ({ path, ...rules })) });
    const rows = [
      ...settings.map(settingRow),
      ...policies.flatMap(({ path, rules }) => Object.entries(rules).map(([name, rule]) => ruleRow(name, rule, path))),
    ];
    await print(rows.length === 0 ? `nothing is configured: ${configurationPaths().join(', ')}\n` : table(rows));
  },
});

function settingRow({ option, values, from }: ConfiguredSetting): string[] {
  return [`--${option}`, values.map((value) => printable(value)).join(', '), printable(from)];
}

function ruleRow(name: string, rule: unknown, path: string): string[] {
  const text = Array.isArray(rule) ? rule.join(', ') : typeof rule === 'object' ? JSON.stringify(rule) : String(rule);
  return [name, printable(text), printable(path)];
}
