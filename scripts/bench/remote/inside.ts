// The measurement itself, in the private place that main.ts made: DIRECTORY RECORDS ROUNDS PROGRAMS PARTS OUT.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../lib/commands.ts';
import { type Dump, measureDumps } from './dumping.ts';
import { measureLocal } from './local.ts';
import { lacking, makeRecords, programs } from './programs.ts';
import { Registry } from './registry.ts';
import { measureMany, measureRemote, storeImages } from './remote.ts';
import { Site } from './site.ts';
import { dumpTable, manyLine, restoreTable } from './tables.ts';

const [directory = '', records = '', count = '', names = '', parts = '', out = ''] = process.argv.slice(2);
const rounds = Number(count);
const wanted = (part: string): boolean => parts.split(',').includes(part);
const values: Record<string, unknown> = {};

function say(title: string, table: string, figures: ReadonlyMap<string, unknown> | object): void {
  values[title] = figures instanceof Map ? Object.fromEntries(figures) : figures;
  process.stdout.write(`### ${title}\n\n${table}\n\n`);
  if (out !== '') writeFileSync(out, `${JSON.stringify(values, null, 1)}\n`);
}

async function measure(site: Site, dump: Dump, registry: Registry | undefined): Promise<void> {
  const { name } = dump.program;
  if (wanted('local')) {
    for (const where of ['memory', 'disk'] as const) {
      const figures = await measureLocal(site, dump, where, rounds);
      say(`${name}, from ${where}`, restoreTable(figures, 'plain'), figures);
    }
  }
  if (registry === undefined) return;
  const stored = await storeImages(site, dump, registry);
  if (wanted('remote')) {
    const figures = await measureRemote(site, stored, rounds);
    say(`${name}, over the network`, restoreTable(figures, 'archive', stored.sizes), figures);
  }
  if (wanted('many')) {
    const figures = await measureMany(site, stored, rounds);
    say(`${name}, eight at once`, manyLine(figures, stored.sizes), figures);
  }
}

const site = new Site(join(directory, 'memory'), join(directory, 'disk'));
mkdirSync(site.disk);
await makeRecords(Number(records), site.records);
await run(site.ckptfs, 'keygen', '-o', site.key);
const needsStore = wanted('remote') || wanted('many');
const registry = needsStore ? await Registry.start(site.in('registry')) : undefined;
for (const program of programs.filter(({ name }) => names.split(',').includes(name))) {
  const missing = lacking(program);
  if (missing !== undefined) {
    process.stdout.write(`${program.name} is left out: there is no ${missing}\n\n`);
    continue;
  }
  try {
    const { dump, figures } = await measureDumps(site, program, wanted('dumps') ? rounds : -1);
    if (wanted('dumps')) say(`${program.name}, dumped`, dumpTable(figures), figures);
    await measure(site, dump, registry);
  } catch (error) {
    process.exitCode = 1;
    process.stdout.write(`${program.name} failed: ${error instanceof Error ? error.message : String(error)}\n\n`);
  }
  await run('rm', '-rf', site.in(program.name));
}
await registry?.stop();
