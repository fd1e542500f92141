/** Errors across the borders of threads, which carry plain data alone. */
import { QuantcError } from './error.js';

/** What an error says, as data. */
export type PlainError = Pick<QuantcError, 'code' | 'message' | 'kind' | 'place' | 'hint'>;

/** An error as data. One that nobody foresaw becomes a fault with its stack. */
export function plainError(error: unknown, faultCode: string): PlainError {
  if (error instanceof QuantcError) {
    const { code, message, kind, place, hint } = error;
    return { code, message, kind, place, hint };
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: faultCode, message, kind: 'fault', place: {}, hint: undefined };
}

/** The error that the data tell of. */
export const revivedError = ({ code, message, ...rest }: PlainError): QuantcError =>
  new QuantcError(code, message, rest);
