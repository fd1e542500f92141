import { QuantcError } from '../../src/index.js';

/** The code of the error that an action ends in; anything but a coded error fails the test. */
export function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof QuantcError) return error.code;
    throw error;
  }
  return 'none';
}

/** The same of an action that takes its time. */
export async function codeOfAsync(act: () => Promise<unknown>): Promise<string> {
  try {
    await act();
  } catch (error) {
    if (error instanceof QuantcError) return error.code;
    throw error;
  }
  return 'none';
}
