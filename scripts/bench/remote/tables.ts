import type { DumpFigures } from './dumping.ts';
import type { ManyFigures } from './remote.ts';
import type { RestoreFigures } from './restoring.ts';
import { medians, type Rounds } from './rounds.ts';

type Column = ReadonlyMap<string, number>;

function ratio(value: number | undefined, base: number | undefined): string {
  if (value === undefined || base === undefined || Number.isNaN(value)) return '';
  return `${(value / base).toPrecision(3)} ×`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), `|---|${'---:|'.repeat(head.length - 1)}`, ...rows.map(line)].join('\n');
}

function measured<T>(figures: Rounds<T>): Rounds<T> {
  return new Map([...figures].filter(([, values]) => values.length > 0));
}

/** Size, time until the process may go on, and until all is compressed and sealed, against an engine's archive. */
export function dumpTable(all: Rounds<DumpFigures>): string {
  const figures = measured(all);
  const columns: readonly Column[] = [
    medians(figures, ({ size }) => size),
    medians(figures, ({ dumped }) => dumped),
    medians(figures, ({ complete }) => complete),
  ];
  const [sizes] = columns;
  return table(
    ['', 'room, of the dump', 'of the archive', '`criu dump`', 'until it is complete'],
    [...figures.keys()].map((name) => [
      name,
      ratio(sizes?.get(name), sizes?.get('plain')),
      ...columns.map((column) => ratio(column.get(name), column.get('archive'))),
    ]),
  );
}

/** @param sizes bytes in the store, by the names of {@link RemoteDump.sizes} */
export function restoreTable(all: Rounds<RestoreFigures>, base: string, sizes?: ReadonlyMap<string, number>): string {
  const figures = measured(all);
  const times = (['runs', 'read', 'complete'] as const).map((mark) =>
    medians(figures, (each) => each[mark].time - each.began.time),
  );
  const carried = (mark: 'mounted' | 'runs' | 'complete'): Column =>
    medians(figures, (each) => (each[mark]?.bytes ?? Number.NaN) - each.began.bytes);
  const sizeOf = (name: string): number | undefined =>
    [...(sizes ?? [])].find(([key]) => name.split(', ').includes(key))?.[1];
  const head = ['', 'runs', 'has read all', 'has all'];
  const rows = [...figures.keys()].map((name) => [
    name,
    ...times.map((column) => ratio(column.get(name), column.get(base))),
  ]);
  if (sizes === undefined) return table(head, rows);
  return table(
    [...head, 'in the store, of the archive', 'fetched when mounted, of that', 'when it runs', 'at the end'],
    rows.map((row) => {
      const [name = ''] = row;
      const fetched = (['mounted', 'runs', 'complete'] as const).map((mark) =>
        ratio(carried(mark).get(name), sizeOf(name)),
      );
      return [...row, ratio(sizeOf(name), sizes.get('archive')), ...fetched];
    }),
  );
}

/** What eight restores had the store send, against what it has. */
export function manyLine(all: Rounds<ManyFigures>, sizes: ReadonlyMap<string, number>): string {
  const sent = medians(measured(all), ({ bytes }) => bytes);
  return [...sent].map(([name, bytes]) => `${name}: ${ratio(bytes, sizes.get('auto'))} of the image`).join('\n');
}
