/**
 * Searches ascending items by bisection. Returns the index of the first item, from `start` on and before `end`, that is
 * not below `bound`, or `end` when there is none.
 *
 * The order is a function of its own that takes the bound, not a closure over it, so that nothing is allocated.
 */
export function firstNotBelow<Item, Bound>(
  items: ArrayLike<Item>,
  bound: Bound,
  isBelow: (item: Item, bound: Bound) => boolean,
  start = 0,
  end: number = items.length,
): number {
  let low = start;
  let high = end;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBelow(items[middle] as Item, bound)) low = middle + 1;
    else high = middle;
  }
  return low;
}
