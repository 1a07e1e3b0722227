import { type LookupAddress, type LookupOptions, lookup } from 'node:dns';
import { BlockList, isIP } from 'node:net';

type Network = readonly [network: string, prefix: number, family: 'ipv4' | 'ipv6'];

/** Addresses of this host. */
const HOST: readonly Network[] = [
  ['0.0.0.0', 8, 'ipv4'],
  ['127.0.0.0', 8, 'ipv4'],
  ['::', 127, 'ipv6'],
];
/** Addresses of its link, where services such as the metadata of an instance answer every program of this host. */
const LINK: readonly Network[] = [
  ['169.254.0.0', 16, 'ipv4'],
  ['fe80::', 10, 'ipv6'],
  // Where AWS and Google have the metadata of an instance by IPv6.
  ['fd00:ec2::', 32, 'ipv6'],
  ['fd20:ce::254', 128, 'ipv6'],
  // Where Alibaba and Azure have theirs, or a part of it.
  ['100.100.100.200', 32, 'ipv4'],
  ['168.63.129.16', 32, 'ipv4'],
];

const host = listOf(HOST);
const link = listOf(LINK);

/** Tells whether a server may point to an address. One on this host may point to this host, and none to its link. */
type Allows = (address: string) => boolean;

/** The error of a name that leads to an address that is not asked. */
export const INNER_ADDRESS = 'EINNER';

/** Returns where a server may point to. @param from a URL of the server */
export function allowedFrom(from: URL): Allows {
  const isNear = isLoopback(from.hostname);
  return (address) => !has(link, address) && (isNear || !has(host, address));
}

/** Tells whether a host, as a URL has it, is written as an address of this host, or is called localhost. */
export function isLoopback(hostname: string): boolean {
  const name = bare(hostname);
  return isIP(name) === 0 ? name === 'localhost' || name.endsWith('.localhost') : has(host, name);
}

/** Tells whether a host is written as an address of the link of this host. */
export function isOnLink(hostname: string): boolean {
  const name = bare(hostname);
  return isIP(name) !== 0 && has(link, name);
}

/** Tells whether a host that is written as an address may be asked; one that is a name is looked up first. */
export function mayAsk(hostname: string, allows: Allows): boolean {
  const name = bare(hostname);
  if (isIP(name) !== 0) return allows(name);
  return !isLoopback(name) || allows('127.0.0.1');
}

type Callback = (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void;

/** Returns a lookup like dns.lookup, which fails for a name that leads to an address that is not allowed. */
export function guardedLookup(allows: Allows) {
  return (hostname: string, options: LookupOptions, callback: Callback): void => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      const [first] = addresses ?? [];
      if (error !== null) callback(error, '');
      else if (first === undefined || !addresses.every(({ address }) => allows(address)))
        callback(Object.assign(new Error(`${hostname} leads to this host`), { code: INNER_ADDRESS }), '');
      else if (options.all === true) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}

function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
}

function has(list: BlockList, address: string): boolean {
  // An address of version 4 that is written in one of version 6 is looked up as the former by the list itself.
  return list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

function listOf(networks: readonly Network[]): BlockList {
  const list = new BlockList();
  for (const [network, prefix, family] of networks) list.addSubnet(network, prefix, family);
  return list;
}
