/** What a `data.json` may say of pictures, sound and tokens, as schemas: unknown keys are refused. */
import * as v from 'valibot';

export const positive = v.pipe(v.number(), v.integer(), v.minValue(1));
export const finite = v.pipe(v.number(), v.finite());
const perChannel = v.pipe(v.array(finite), v.minLength(1));
const byte = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(255));

/** `x = (stored * scale - mean) / std`, with mean and std by channel, or one for all. */
export const normalization = {
  scale: v.optional(finite),
  mean: v.optional(perChannel),
  std: v.optional(
    v.pipe(
      perChannel,
      v.check((std) => std.every((each) => each !== 0), 'std must not be 0'),
    ),
  ),
};

export const imagesSchema = v.strictObject({
  ...normalization,
  /** Height and width of what the model gets, or one number for both; default those of its input. */
  size: v.optional(v.union([positive, v.tuple([positive, positive])])),
  /**
   * How a picture of another size becomes one: `stretch` both sides; `cover` the size and cut the middle out; be
   * `contain`ed in it, with a border; or have the middle cut out as it is (`crop`).
   */
  fit: v.optional(v.picklist(['stretch', 'cover', 'contain', 'crop'])),
  /** With `cover`: what the shorter side becomes before the middle is cut out (the 256 of "256, then 224"). */
  shortSide: v.optional(positive),
  /** With `contain`: colour of the border, one byte or one a channel; default black. */
  fill: v.optional(v.union([byte, v.pipe(v.array(byte), v.minLength(1))])),
  /** With `contain`: where the picture lies; `corner` is top left. Default `centre`. */
  anchor: v.optional(v.picklist(['centre', 'corner'])),
  filter: v.optional(v.picklist(['nearest', 'bilinear', 'bicubic'])),
  channels: v.optional(v.picklist(['RGB', 'BGR', 'gray'])),
  /** Where channels lie in the model's input; default what its shape says. */
  layout: v.optional(v.picklist(['NCHW', 'NHWC'])),
});

export const audioSchema = v.strictObject({
  /** Samples a second that every file must have. */
  sampleRate: positive,
  /** Samples of a window; default the length of the model's input. */
  length: v.optional(positive),
  /** Samples from one window's start to the next; default the length. */
  hop: v.optional(positive),
});

export const tokensSchema = v.strictObject({
  /** Tokens of a window; default the length of the model's input. */
  length: v.optional(positive),
  /** Tokens from one window's start to the next; default the length. */
  stride: v.optional(positive),
  /** Elements of a .bin file, little-endian. */
  dtype: v.optional(v.picklist(['uint16', 'int32', 'uint32', 'int64'])),
  /** Token that fills up windows which the text does not; without it such windows are left out. */
  pad: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0))),
});

export type ImagesSpec = v.InferOutput<typeof imagesSchema>;
export type AudioSpec = v.InferOutput<typeof audioSchema>;
export type TokensSpec = v.InferOutput<typeof tokensSchema>;
