/** What a scenario measures. Values are always in the base unit; only people see them scaled. */
export type Unit = 'seconds' | 'bytes per second' | 'reads per second' | 'files per second' | 'bytes';

/** How values of one plot or table are shown: all alike, so that they can be compared by eye. */
export interface Scale {
  readonly divisor: number;
  readonly suffix: string;
}

const scales: Readonly<Record<Unit, (greatest: number) => Scale>> = {
  seconds: (greatest) => (greatest < 1 ? { divisor: 1e-3, suffix: 'ms' } : { divisor: 1, suffix: 's' }),
  'bytes per second': (greatest) =>
    greatest < 10e9 ? { divisor: 1e6, suffix: 'MB/s' } : { divisor: 1e9, suffix: 'GB/s' },
  'reads per second': () => ({ divisor: 1, suffix: 'reads/s' }),
  'files per second': () => ({ divisor: 1, suffix: 'files/s' }),
  bytes: () => ({ divisor: 2 ** 20, suffix: 'MiB' }),
};

/** Picks the scale that suits values up to `greatest`. */
export function scaleFor(unit: Unit, greatest: number): Scale {
  return scales[unit](greatest);
}

/** Shows three significant digits, with grouped thousands: `1.52`, `0.084`, `26,400`. */
export function formatNumber(value: number): string {
  const rounded = Number(value.toPrecision(3));
  return rounded.toLocaleString('en-US', { maximumSignificantDigits: 3 });
}

export function formatValue(value: number, scale: Scale): string {
  return `${formatNumber(value / scale.divisor)} ${scale.suffix}`;
}

/** Shows a size as `1 GiB` or `128 MiB`, in the largest binary unit, with at most one decimal. */
export function formatSize(bytes: number): string {
  const names = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(names.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  return `${Number((bytes / 2 ** (10 * power)).toFixed(1))} ${names[power]}`;
}

/**
 * Reads `512`, `128M`, `1G`, `1GiB`.
 * @throws RangeError for anything else
 */
export function parseSize(text: string): number {
  const [, number, prefix = ''] = /^(\d+)([KMGT]?)(?:iB)?$/i.exec(text) ?? [];
  if (number === undefined) throw new RangeError(`not a size: ${text}`);
  return Number(number) * 2 ** (10 * ' KMGT'.indexOf(prefix.toUpperCase() || ' '));
}
