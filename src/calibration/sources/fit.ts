/** How a picture of any size becomes one of the model's, by what the data declare. */
import { QuantcError } from '../../errors/error.js';
import { cut, type Picture, resize } from './resize.js';
import type { ImagesSpec } from './specs.js';

/** Height and width that the model takes. */
export type Size = readonly [height: number, width: number];

/**
 * Fits a picture.
 * @throws QuantcError E_DATA_IMAGE where nothing says how, or where the middle that is to be cut out is larger
 */
export function fitPicture(picture: Picture, [height, width]: Size, spec: ImagesSpec, file: string): Picture {
  const { filter = 'bilinear' } = spec;
  const refuse = (why: string, hint: string) =>
    new QuantcError('E_DATA_IMAGE', `the picture is ${picture.width}×${picture.height}: ${why}`, {
      place: { file },
      hint,
    });
  const same = picture.width === width && picture.height === height;
  switch (spec.fit) {
    case undefined:
      if (same) return picture;
      throw refuse(
        `nothing says how it becomes ${width}×${height}`,
        'Declare "fit" in the images of the data.json: stretch, cover, contain or crop.',
      );
    case 'stretch':
      return same ? picture : resize(picture, width, height, filter);
    case 'crop':
      if (picture.width < width || picture.height < height)
        throw refuse(
          `${width}×${height} cannot be cut out of it`,
          'With "fit": "cover" it is enlarged first.',
        );
      return cut(picture, middle(picture.width, picture.height, width, height));
    case 'cover':
      return cover(picture, height, width, spec);
    case 'contain':
      return contain(picture, height, width, spec);
  }
}

/** Where the middle lies; of an odd rest, half is rounded to the even number, as torchvision does. */
function middle(wide: number, high: number, width: number, height: number) {
  const half = (rest: number): number => {
    const low = Math.floor(rest / 2);
    return rest % 2 === 0 || low % 2 === 0 ? low : low + 1;
  };
  return { left: half(wide - width), top: half(high - height), width, height };
}

function cover(picture: Picture, height: number, width: number, spec: ImagesSpec): Picture {
  const [w, h] = [picture.width, picture.height];
  let [wide, high] = [w, h];
  if (spec.shortSide === undefined) {
    const scale = Math.max(width / w, height / h);
    wide = Math.max(width, Math.round(w * scale));
    high = Math.max(height, Math.round(h * scale));
  } else {
    // The longer side is cut to whole pixels, as torchvision does.
    wide = w <= h ? spec.shortSide : Math.floor((spec.shortSide * w) / h);
    high = w <= h ? Math.floor((spec.shortSide * h) / w) : spec.shortSide;
  }
  const window = middle(wide, high, width, height);
  return wide === w && high === h ? cut(picture, window) : resize(picture, wide, high, spec.filter, window);
}

function contain(picture: Picture, height: number, width: number, spec: ImagesSpec): Picture {
  const { channels } = picture;
  const scale = Math.min(width / picture.width, height / picture.height);
  const wide = Math.min(width, Math.max(1, Math.round(picture.width * scale)));
  const high = Math.min(height, Math.max(1, Math.round(picture.height * scale)));
  const small = resize(picture, wide, high, spec.filter);
  const corner = spec.anchor === 'corner';
  const left = corner ? 0 : Math.floor((width - wide) / 2);
  const top = corner ? 0 : Math.floor((height - high) / 2);
  const data = new Uint8Array(width * height * channels);
  const colour = typeof spec.fill === 'number' ? [spec.fill] : (spec.fill ?? [0]);
  for (let i = 0; i < data.length; i++) data[i] = colour[(i % channels) % colour.length]!;
  for (let y = 0; y < high; y++) {
    const row = small.data.subarray(y * wide * channels, (y + 1) * wide * channels);
    data.set(row, ((top + y) * width + left) * channels);
  }
  return { width, height, channels, data };
}
