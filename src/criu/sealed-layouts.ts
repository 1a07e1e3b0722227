import { ByteReader, MalformedError } from '../base/bytes.ts';
import type { Region } from '../base/linux/native.ts';
import type { SealedLayout } from './image-kind.ts';
import { magicSize } from './image-magic.ts';
import { Message } from './message.ts';
import type { SealedWalk } from './sealed-walk.ts';

/** The sizes of a BPF map, in bytes, as files.img has them. */
export interface BpfMapSizes {
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
}

/** By the id of a map. */
export type BpfMaps = ReadonlyMap<number, BpfMapSizes>;

/** Numbers of fields in messages of CRIU (its folder images). */
const FIELD = {
  pipeBytes: 2,
  packetLength: 2,
  tcpReceived: 1,
  tcpSent: 3,
  semaphoreCount: 2,
  messageCount: 3,
  messageSize: 2,
  mapId: 1,
  keysBytes: 2,
  valuesBytes: 3,
  fileBpfMap: 21,
  filesMap: { keySize: 6, valueSize: 7, id: 8, maxEntries: 9 },
} as const;

const SEMAPHORE_SIZE = 2;
/** System V data is padded to it. */
const IPC_ALIGNMENT = 8;
const NETLINK_HEADER_SIZE = 16;

/** What follows one entry of each layout, its message given. */
const FOLLOWING: Readonly<
  Record<Exclude<SealedLayout, 'netlink-messages'>, (walk: SealedWalk, message: Uint8Array, maps: BpfMaps) => void>
> = {
  entries: () => {},
  pagemap: () => {},
  'pipe-data': (walk, message) => walk.blob(new Message(message).count(FIELD.pipeBytes)),
  'socket-queues': (walk, message) => walk.blob(new Message(message).count(FIELD.packetLength)),
  'tcp-stream': (walk, message) => {
    const stream = new Message(message);
    walk.blob(stream.count(FIELD.tcpReceived));
    walk.blob(stream.count(FIELD.tcpSent));
  },
  semaphores: (walk, message) => walk.blob(padded(new Message(message).count(FIELD.semaphoreCount) * SEMAPHORE_SIZE)),
  'message-queues': (walk, message) => {
    for (let left = new Message(message).count(FIELD.messageCount); left > 0; left--)
      walk.blob(padded(new Message(walk.entry()).count(FIELD.messageSize)));
  },
  'bpf-maps': openBpfMap,
};

/**
 * Decrypts an image from its start to its end.
 * @param image as it is stored @param maps for BPF maps that are not full
 * @throws MalformedError when a tag does not match, or something does not fit into what is left of the image
 */
export function openSealed(layout: SealedLayout, image: Region, walk: SealedWalk, maps: BpfMaps): void {
  // An interrupted dump leaves images without anything in them.
  if (image.length === 0) return;
  if (layout === 'netlink-messages') {
    openNetlinkMessages(walk);
    return;
  }
  walk.clear(magicSize(image));
  while (walk.remaining > 0) FOLLOWING[layout](walk, walk.entry(), maps);
}

/** Netlink messages have no sizes in front: the header of each, 16 bytes, tells its own. */
function openNetlinkMessages(walk: SealedWalk): void {
  while (walk.remaining > 0) {
    const length = new ByteReader(walk.blob(NETLINK_HEADER_SIZE)).u32();
    if (length < NETLINK_HEADER_SIZE) throw new MalformedError(`a netlink message of ${length} bytes`);
    walk.blob(length - NETLINK_HEADER_SIZE);
  }
}

/**
 * The plain form has the keys and values that are in use. The encrypted one has those of all that fit into the map, so
 * that its length is in files.img only.
 */
function openBpfMap(walk: SealedWalk, bytes: Uint8Array, maps: BpfMaps): void {
  const message = new Message(bytes);
  const [keys, values] = [message.count(FIELD.keysBytes), message.count(FIELD.valuesBytes)];
  const sizes = maps.get(message.count(FIELD.mapId));
  const roomForKeys = sizes === undefined ? keys : sizes.keySize * sizes.maxEntries;
  const roomForValues = sizes === undefined ? values : sizes.valueSize * sizes.maxEntries;
  if (keys > roomForKeys || values > roomForValues) throw new MalformedError('a BPF map has more than fits into it');
  const all = walk.blob(roomForKeys + roomForValues);
  all.copyWithin(keys, roomForKeys, roomForKeys + values);
  walk.drop(all.length - keys - values);
}

/** Returns the sizes of the BPF maps among open files. @param messages of files.img @throws MalformedError */
export function bpfMapsIn(messages: Iterable<Uint8Array>): BpfMaps {
  const { id, keySize, valueSize, maxEntries } = FIELD.filesMap;
  const maps = new Map<number, BpfMapSizes>();
  for (const message of messages) {
    const part = new Message(message).part(FIELD.fileBpfMap);
    if (part === undefined) continue;
    const map = new Message(part);
    maps.set(map.count(id), {
      keySize: map.count(keySize),
      valueSize: map.count(valueSize),
      maxEntries: map.count(maxEntries),
    });
  }
  return maps;
}

function padded(length: number): number {
  return Math.ceil(length / IPC_ALIGNMENT) * IPC_ALIGNMENT;
}
