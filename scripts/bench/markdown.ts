import { formatNumber } from './units.ts';

const MAX_COLUMNS = 120;

/** Lays out a table; the columns from `numbersFrom` on are aligned to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], numbersFrom = 1): string {
  const rule = head.map((_, column) => (column < numbersFrom ? '---' : '---:'));
  return [head, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** Joins items to `a, b and c`. */
export function listed(items: readonly string[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}

/** Shows a ratio as `1.29 ×`. */
export function times(ratio: number): string {
  return `${ratio >= 10 ? formatNumber(ratio) : ratio.toFixed(2)} ×`;
}

/** Breaks a paragraph into lines that fit, but no code in it; lines after the first begin with `indent`. */
export function wrapped(paragraph: string, indent = ''): string {
  const lines: string[] = [];
  let line = '';
  for (const [word] of paragraph.matchAll(/(?:`[^`]*`|\S)+/g)) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (longer.length > MAX_COLUMNS && line !== '') {
      lines.push(line);
      line = indent + word;
    } else {
      line = longer;
    }
  }
  return [...lines, line].join('\n');
}
