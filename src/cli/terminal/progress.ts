import { formatBytes, formatDuration } from './quantities.ts';

/** Time between two drawings: short enough to look alive, long enough to cost nothing. */
const INTERVAL_MILLISECONDS = 100;
const BAR_WIDTH = 24;

interface ProgressBar {
  /** @param progress its total may not be known */
  update(progress: { readonly doneBytes: number; readonly totalBytes: number | undefined }): void;
  /** Removes the bar from the terminal. */
  end(): void;
}

const nothing: ProgressBar = { update: () => {}, end: () => {} };

/** Draws a line that is updated in place, on a terminal only: a log file gets nothing of it. */
export function progressBar(label: string, quiet: boolean, stream: NodeJS.WriteStream = process.stderr): ProgressBar {
  if (quiet || !stream.isTTY) return nothing;
  const start = Date.now();
  let drawn = 0;
  return {
    update({ doneBytes, totalBytes }) {
      const now = Date.now();
      if (now - drawn < INTERVAL_MILLISECONDS) return;
      drawn = now;
      const text = progressText(label, doneBytes, totalBytes, (now - start) / 1000);
      stream.write(`\r${text.slice(0, widthOf(stream) - 1)}\x1b[K`);
    },
    end() {
      if (drawn > 0) stream.write('\r\x1b[K');
    },
  };
}

/** Returns the width in columns. A terminal that does not know it reports 0. */
function widthOf(stream: NodeJS.WriteStream): number {
  return stream.columns > 0 ? stream.columns : 80;
}

/**
 * Returns a line such as `encrypting [####------]  42 %  1.2 GiB of 2.9 GiB, 840 MiB/s, 2 s left`, or `encrypting 1.2
 * GiB, 840 MiB/s` where the total is not known.
 * @param seconds since the start
 */
export function progressText(label: string, done: number, total: number | undefined, seconds: number): string {
  const rate = seconds > 0 ? done / seconds : 0;
  const speed = `${formatBytes(Math.round(rate))}/s`;
  if (total === undefined) return `${label} ${formatBytes(done)}, ${speed}`;
  const share = total === 0 ? 1 : Math.min(1, done / total);
  const filled = Math.round(share * BAR_WIDTH);
  const bar = '#'.repeat(filled) + '-'.repeat(BAR_WIDTH - filled);
  const percent = `${Math.floor(share * 100)}`.padStart(3);
  const left = rate > 0 ? `, ${formatDuration((total - done) / rate)} left` : '';
  const amounts = `${formatBytes(done)} of ${formatBytes(total)}`;
  return `${label} [${bar}] ${percent} %  ${amounts}, ${speed}${left}`;
}
