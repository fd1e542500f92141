/** Reverse-mode differentiation: each operator computes at once and leaves on the tape how gradients flow back. */

/** A matrix of features: `rows` samples, tokens or pixels, each with `columns` channels. */
export class Variable {
  readonly data: Float32Array;
  readonly rows: number;
  readonly columns: number;
  #gradient: Float32Array | undefined;

  constructor(data: Float32Array, rows: number, columns: number) {
    if (data.length !== rows * columns)
      throw new RangeError(`${data.length} elements for ${rows} × ${columns}`);
    this.data = data;
    this.rows = rows;
    this.columns = columns;
  }

  static zeros(rows: number, columns: number): Variable {
    return new Variable(new Float32Array(rows * columns), rows, columns);
  }

  /** The gradient so far, zeros at first; operators add to it. */
  get gradient(): Float32Array {
    this.#gradient ??= new Float32Array(this.data.length);
    return this.#gradient;
  }

  clearGradient(): void {
    this.#gradient?.fill(0);
  }
}

/** What was computed, in order. A tape that does not record is for inference. */
export class Tape {
  readonly recording: boolean;
  readonly #steps: (() => void)[] = [];

  constructor(recording = true) {
    this.recording = recording;
  }

  /** Leaves a step that adds to the inputs' gradients what follows from the output's. */
  push(step: () => void): void {
    if (this.recording) this.#steps.push(step);
  }

  /** Runs all steps from last to first; the last operator must have set its output's gradient. */
  backward(): void {
    for (const step of this.#steps.reverse()) step();
    this.#steps.length = 0;
  }
}
