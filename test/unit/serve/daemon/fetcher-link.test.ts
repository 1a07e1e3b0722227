import net from 'node:net';
import { expect, test } from 'vitest';
import { socketPair } from '../../../../src/base/linux/sockets.ts';
import { fetcherCounters } from '../../../../src/remote/lazy/protocol.ts';
import { FetcherLink } from '../../../../src/serve/daemon/fetcher-link.ts';
import type { Log } from '../../../../src/serve/daemon/log.ts';

function linked(): {
  link: FetcherLink;
  fetcher: net.Socket;
  lines: string[];
  logged: (count: number) => Promise<void>;
} {
  const [ours, theirs] = socketPair();
  const lines: string[] = [];
  let onLine = (): void => undefined;
  const write = (level: string, text: string): void => {
    lines.push(`${level}: ${text}`);
    onLine();
  };
  const log = { write, error: (text: string) => write('error', text) } as unknown as Log;
  const logged = async (count: number): Promise<void> => {
    while (lines.length < count) await new Promise<void>((resolve) => (onLine = resolve));
  };
  return { link: new FetcherLink(ours, 's3://b/i', log), fetcher: new net.Socket({ fd: theirs }), lines, logged };
}

const counts = Object.fromEntries(fetcherCounters.map((name, at) => [name, at]));

test('questions are answered in order, and lines between the answers go to the log', async () => {
  const { link, fetcher, lines } = linked();
  fetcher.setEncoding('utf8').on('data', (text: string) => {
    for (const line of text.split('\n').filter(Boolean)) {
      fetcher.write(`${JSON.stringify({ log: { level: 'info', text: `asked ${JSON.parse(line).ask}` } })}\n`);
      fetcher.write(
        line.includes('status') ? `${JSON.stringify({ status: { url: 'x', ...counts } })}\n` : '{"profile":"{}"}\n',
      );
    }
  });
  expect(await Promise.all([link.counts(), link.profile(), link.counts()])).toEqual([counts, '{}', counts]);
  expect(lines).toEqual(['info: asked status', 'info: asked profile', 'info: asked status']);
  link.close();
  fetcher.destroy();
});

test('what is no answer is none, and its end is logged once', async () => {
  const { link, fetcher, lines, logged } = linked();
  fetcher.write('garbage\n{"status":{"blocks":"x"}}\n{"log":{"text":7}}\n');
  const asked = [link.counts(), link.profile()];
  fetcher.end();
  expect(await Promise.all(asked)).toEqual([undefined, undefined]);
  await logged(1);
  expect(await link.counts()).toBeUndefined();
  expect(lines).toEqual([expect.stringMatching(/^error: s3:\/\/b\/i: the process that fetches it has ended/)]);
  fetcher.destroy();
});

test('no more questions are kept than a few for one that does not answer', async () => {
  const { link, fetcher } = linked();
  const asked = Array.from({ length: 16 }, () => link.counts());
  expect(await link.counts()).toBeUndefined();
  fetcher.write(`${JSON.stringify({ status: { url: 'x', ...counts } })}\n`.repeat(16));
  expect(await Promise.all(asked)).toEqual(asked.map(() => counts));
  const heard = link.profile();
  fetcher.write('{"profile":"{}"}\n');
  expect(await heard).toBe('{}');
  link.close();
  fetcher.destroy();
});

test('closing it is no end to be logged', async () => {
  const { link, fetcher, lines } = linked();
  const closed = new Promise((resolve) => fetcher.resume().once('close', resolve));
  link.close();
  await closed;
  expect(lines).toEqual([]);
});
