// Holds every import in src, of types too, against the houses, doors and rooms of scripts/rooms.ts: data flows one way,
// and no files import each other in a circle. Holds the rows and the doors of docs/design.md §2 against
// scripts/rooms.ts as well.
import fs from 'node:fs';
import path from 'node:path';
import { HOUSES } from './rooms.ts';

const source = path.join(import.meta.dirname, '..', 'src');
const importPattern = /(?:from|import)\s*\(?\s*'(\.[^']+\.ts)'/g;

const imports = new Map<string, string[]>();
const faults: string[] = [];
for (const name of fs.readdirSync(source, { recursive: true, encoding: 'utf8' })) {
  if (!name.endsWith('.ts')) continue;
  const file = path.join(source, name);
  const specifiers = [...fs.readFileSync(file, 'utf8').matchAll(importPattern)].map(([, specifier = '']) => specifier);
  const targets = specifiers.map((specifier) => path.relative(source, path.resolve(path.dirname(file), specifier)));
  imports.set(name, targets);
  if (name !== 'index.ts') for (const target of targets) judgeImport(name, target);
}
for (const [house, { imports: allowed, doors = [] }] of Object.entries(HOUSES)) {
  const named = [...doors.map((door) => `${house}/${door}`), ...allowed.filter((name) => name.endsWith('.ts'))];
  for (const file of named)
    if (!imports.has(file)) faults.push(`scripts/rooms.ts names src/${file}, which does not exist`);
}
compareWithDocument(fs.readFileSync(path.join(source, '..', 'docs', 'design.md'), 'utf8'));
for (const circle of circlesIn(imports)) faults.push(`files that import each other: ${circle.join(', ')}`);
process.stderr.write(faults.map((fault) => `${fault}\n`).join(''));
process.exitCode = faults.length > 0 ? 1 : 0;

/** Notes the import of `target` by `file` as a fault unless the map allows it. */
function judgeImport(file: string, target: string): void {
  const from = placeOf(file);
  const to = placeOf(target);
  const house = HOUSES[from.house];
  if (house === undefined) faults.push(`src/${file}: scripts/rooms.ts has no house ${from.house}`);
  else if (from.house === to.house) {
    if (from.room === to.room || house.rooms?.[from.room]?.includes(to.room)) return;
    faults.push(`src/${file}: the room ${from.house}/${from.room} must not import ${target}`);
  } else if (!house.imports.includes(to.house) && !house.imports.includes(target)) {
    faults.push(`src/${file}: ${from.house} must not import ${target}`);
  } else if (HOUSES[to.house]?.doors?.includes(target.slice(to.house.length + 1)) === false) {
    faults.push(`src/${file}: ${target} is not a door of ${to.house}`);
  }
}

/** Returns the house of a file below src, the longest name that fits, and its room there. */
function placeOf(file: string): { house: string; room: string } {
  const folder = path.dirname(file);
  const fits = (house: string): boolean => folder === house || folder.startsWith(`${house}/`);
  const house = Object.keys(HOUSES).filter(fits).sort().at(-1) ?? folder;
  return { house, room: path.relative(house, folder) || '.' };
}

/** Notes what the tables of docs/design.md §2 say of houses, rooms and doors otherwise than scripts/rooms.ts. */
function compareWithDocument(text: string): void {
  const map = text.slice(text.indexOf('\n## 2.'), text.indexOf('\n## 3.'));
  const rows = [...map.matchAll(/^\| `([^`]+)`( \(top\))? \|.*\| ([^|]+) \|$/gm)];
  const written = new Map(rows.map(([, name = '', top = '', last = '']) => [name + top, last]));
  for (const [house, { rooms = {}, doors }] of Object.entries(HOUSES)) {
    if (!written.delete(house)) faults.push(`docs/design.md §2 has no row for the house ${house}`);
    const inRooms = (doors ?? []).map((door) => path.dirname(door));
    for (const room of new Set([...inRooms, ...Object.keys(rooms).filter((name) => name !== '.')])) {
      const row = room === '.' ? `${house} (top)` : `${house}/${room}`;
      const own = doors?.filter((door) => path.dirname(door) === room).map((door) => path.basename(door, '.ts'));
      const names = own?.sort().map((door) => `\`${door}\``);
      const expected = names === undefined ? 'all' : names.join(', ') || 'none';
      if (written.get(row) !== expected) faults.push(`docs/design.md §2: the last cell of ${row} must be: ${expected}`);
      written.delete(row);
    }
  }
  for (const row of written.keys()) faults.push(`docs/design.md §2: scripts/rooms.ts has no ${row}`);
}

/** Returns the groups of files each of which leads to every other of its group, by Tarjan's algorithm. */
function circlesIn(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const found: string[][] = [];
  const order = new Map<string, number>();
  const stack: string[] = [];
  for (const file of graph.keys()) if (!order.has(file)) visit(file);
  return found.sort();

  /** Returns the lowest number in the visiting order that `file` leads back to. */
  function visit(file: string): number {
    const own = order.size;
    order.set(file, own);
    stack.push(file);
    let lowest = own;
    for (const target of graph.get(file) ?? []) {
      if (!order.has(target)) lowest = Math.min(lowest, visit(target));
      else if (stack.includes(target)) lowest = Math.min(lowest, order.get(target) ?? own);
    }
    if (lowest === own) {
      const group = stack.splice(stack.indexOf(file));
      if (group.length > 1) found.push(group.sort());
    }
    return lowest;
  }
}
