/** Returns the indented blocks of a section of a page in Markdown, without their indentation. */
export function indentedBlocks(page: string, heading: string): string[] {
  const section = page.slice(page.indexOf(heading)).split(/\n## /)[0] ?? '';
  return [...section.matchAll(/(?:^ {4}.*\n|^\n(?= {4}))+/gm)].map(([block]) => block.replaceAll(/^ {4}/gm, '').trim());
}
