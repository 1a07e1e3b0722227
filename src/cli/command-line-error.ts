import { CkptfsError } from '../base/errors.ts';

/** What is wrong with a command line, as far as there is more to say about it than the message does. */
export type CommandLineProblem =
  /** @property command undefined when none was recognized */
  | { readonly kind: 'usage'; readonly command: string | undefined }
  | { readonly kind: 'empty-value'; readonly isPath: boolean }
  | { readonly kind: 'image-id' }
  | { readonly kind: 'no-command-to-run' };

export class CommandLineError extends CkptfsError<'bad-argument'> {
  readonly problem: CommandLineProblem;

  constructor(message: string, problem: CommandLineProblem) {
    super('bad-argument', message);
    this.problem = problem;
  }
}
