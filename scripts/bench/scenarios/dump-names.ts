/** Names, for tables, dumping to a plain directory and encrypting that with a tool. */
export function dumpThenEncrypt(tool: string): string {
  return `${tool}, dumped first`;
}
