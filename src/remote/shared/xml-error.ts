/** Returns the code in an error of S3 or STS, which is XML: `<Error><Code>NoSuchKey</Code>…`. */
export function xmlErrorCode(text: string): string | undefined {
  return /<Code>([A-Za-z0-9.]{1,64})<\/Code>/.exec(text)?.[1];
}
