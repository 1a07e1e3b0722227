import { fuse_batch_forget_in, fuse_forget_in, fuse_forget_one } from '../protocol/abi.ts';
import type { WritingExchange } from '../protocol/exchange.ts';

/** Carries out FUSE_FORGET: subtracts from the lookup count of a node. */
export function forget({ fileSystem, request }: WritingExchange): number {
  fileSystem.forget(request.node, request.u64(fuse_forget_in.nlookup));
  return 0;
}

/** Carries out FUSE_BATCH_FORGET: like {@link forget}, but for many nodes. */
export function batchForget({ fileSystem, request }: WritingExchange): number {
  const count = request.u32(fuse_batch_forget_in.count);
  for (let index = 0; index < count; index++) {
    const one = fuse_batch_forget_in.sizeof + index * fuse_forget_one.sizeof;
    const node = request.u64(one + fuse_forget_one.nodeid);
    fileSystem.forget(node, request.u64(one + fuse_forget_one.nlookup));
  }
  return 0;
}
