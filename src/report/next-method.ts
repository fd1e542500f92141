/** What a report says of a model that came out worse than it should: the method to go on with. */
export interface NextMethod {
  /** What falls short, with the figure. */
  readonly because: string;
  /** The command that the guide goes on with. */
  readonly command: string;
}
