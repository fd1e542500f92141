/** Where an error lies. Every part is optional; what is known is said. */
export interface ErrorPlace {
  readonly file?: string;
  readonly graph?: string;
  readonly node?: string;
  readonly value?: string;
  readonly pass?: string;
  readonly plugin?: string;
}

/**
 * Every failure that quantc foresees. `code` is stable and may be matched on; `hint` says what to do next.
 * Exit codes of the command follow from `kind`: a `proof` failure is 1, `input` and `usage` are 2, a `fault` of
 * ours is 3.
 */
export class QuantcError extends Error {
  override readonly name = 'QuantcError';
  readonly code: string;
  readonly kind: 'proof' | 'input' | 'usage' | 'fault';
  readonly place: ErrorPlace;
  readonly hint?: string;

  constructor(
    code: string,
    message: string,
    options: { kind?: QuantcError['kind']; place?: ErrorPlace; hint?: string; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.kind = options.kind ?? 'input';
    this.place = options.place ?? {};
    this.hint = options.hint;
  }

  /** One paragraph for a person: code, what happened, where, and what to do next. */
  describe(): string {
    const where = Object.entries(this.place)
      .filter(([, value]) => value !== undefined && value !== '')
      .map(([key, value]) => `${key} ${value}`)
      .join(', ');
    return `${this.code}: ${this.message}${where ? ` (${where})` : ''}${this.hint ? `\n  ${this.hint}` : ''}`;
  }
}

/** Throws a {@link QuantcError} of kind `fault`: something that quantc itself promised does not hold. */
export function fault(code: string, message: string, place?: ErrorPlace): never {
  throw new QuantcError(code, message, { kind: 'fault', place });
}
