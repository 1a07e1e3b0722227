import fs from 'node:fs';

const kernelParameter = '/sys/module/fuse/parameters/enable_uring';

/** Whether the kernel has FUSE over io_uring and its administrator has switched it on. */
export function isUringEnabled(parameter: string = kernelParameter): boolean {
  return fs.existsSync(parameter) && fs.readFileSync(parameter, 'utf8').trim() === 'Y';
}

/**
 * Switches FUSE over io_uring on for this machine while `body` runs, and back afterwards.
 * @throws Error where the kernel does not have it
 */
export async function withUring<T>(body: () => Promise<T>, parameter: string = kernelParameter): Promise<T> {
  if (!fs.existsSync(parameter)) throw new Error(`--enable-uring: this kernel has no ${parameter}`);
  if (isUringEnabled(parameter)) return body();
  fs.writeFileSync(parameter, 'Y');
  try {
    return await body();
  } finally {
    fs.writeFileSync(parameter, 'N');
  }
}
