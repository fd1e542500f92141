/** One point of the learning curve. */
export interface CurvePoint {
  /** From 0. */
  readonly step: number;
  readonly loss: number;
  readonly parts: Readonly<Record<string, number>>;
  readonly rate: number;
  /** ‖g‖ before clipping. */
  readonly norm: number;
}
