export function answerTo(text: string, key: Buffer, name: string): string;
