import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { withKeys } from '../../../../src/cli/options/image-arguments.ts';
import * as output from '../../../../src/cli/terminal/output.ts';

const directory = mkdtempSync(join(tmpdir(), 'ckptfs-arguments-'));
afterAll(() => rmSync(directory, { recursive: true }));

vi.mock('../../../../src/cli/terminal/output.ts', async (original) => ({
  ...(await original<typeof output>()),
  warn: vi.fn(async () => undefined),
}));

test('a warning about a key that is read only when it is needed is printed after the work, unless it is quiet', async () => {
  const path = join(directory, 'key');
  writeFileSync(path, '42'.repeat(16), { mode: 0o644 });
  for (const quiet of [false, true]) {
    const args = { key: [`file:${path}`], quiet, debug: false };
    await withKeys(args, (keys) => keys.prepareForCreating({}), 'make');
    const about = vi.mocked(output.warn).mock.calls.filter(([text]) => String(text).includes(path));
    expect(about).toHaveLength(1);
  }
});
