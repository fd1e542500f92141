/** From whatever was thrown to an exit code and words. */
import { QuantcError } from '../errors/error.js';

/** Exit codes by kind of error. */
const EXIT: Readonly<Record<QuantcError['kind'], number>> = { proof: 1, input: 2, usage: 2, fault: 3 };

/** Any error as one of ours: what nobody foresaw is a fault of quantc. */
export function asQuantcError(error: unknown): QuantcError {
  if (error instanceof QuantcError) return error;
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new QuantcError('F_UNEXPECTED', message, { kind: 'fault', cause: error });
}

export const exitCodeOf = (error: QuantcError): number => EXIT[error.kind];

/** A paragraph for a person; with the stacks when `debug` is set. */
export function failureText(error: QuantcError, debug: boolean): string {
  const text = `${error.describe()}\n`;
  if (debug) return `${text}\n${stacks(error)}\n`;
  if (error.kind !== 'fault') return text;
  return `${text}  This is a fault of quantc, not of yours. Please report it, with the command and what it prints with QUANTC_DEBUG=1.\n`;
}

/** Errors that a command has told of itself, in the one document that it prints. */
const told = new WeakSet<QuantcError>();

/** The error, to be thrown, which is not told of again. */
export function toldOf(error: QuantcError): QuantcError {
  told.add(error);
  return error;
}

export const isTold = (error: QuantcError): boolean => told.has(error);

/** The same as plain data, for `--json`. */
export function failureJson(error: QuantcError, debug: boolean): object {
  const { code, kind, message, place, hint } = error;
  return { error: { code, kind, message, place, hint, ...(debug && { stack: stacks(error) }) } };
}

function stacks(error: Error): string {
  const lines = [error.stack ?? String(error)];
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause)
    lines.push(`caused by ${cause.stack ?? String(cause)}`);
  return lines.join('\n');
}
